package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"go.temporal.io/sdk/client"
	sdklog "go.temporal.io/sdk/log"

	"github.com/sluicepay/sluice/chain/hd"
	"github.com/sluicepay/sluice/internal/config"
	"github.com/sluicepay/sluice/internal/seal"
	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/store"
)

// service is what both long-running programs stand on.
type service struct {
	log    *slog.Logger
	keys   *seal.Keyring
	db     *store.DB
	client client.Client
}

// openService needs nothing to be there yet: both programs start while PostgreSQL or Temporal is away, and say so in /readyz.
func openService(ctx context.Context, name string, settings config.Common, described any) (*service, error) {
	log := settings.Logger().With(slog.String("program", name))
	log.LogAttrs(ctx, slog.LevelInfo, "starting", config.Describe(described)...)
	keys, err := seal.ParseKeyring(settings.Master.Reveal())
	if err != nil {
		return nil, fmt.Errorf("SLUICE_MASTER_KEYS: %w", err)
	}
	encryption, err := temporalTLS(settings.Temporal)
	if err != nil {
		return nil, err
	}
	db, err := openStore(ctx, settings.Database.URL, store.Options{
		MaxConns: settings.MaxConns, ApplicationName: "sluice-" + name, Logger: log, Role: store.RoleApp,
	})
	if err != nil {
		return nil, err
	}
	c, err := client.NewLazyClient(client.Options{
		HostPort: settings.Address, Namespace: settings.Namespace,
		Logger:            sdklog.NewStructuredLogger(log),
		ConnectionOptions: client.ConnectionOptions{TLS: encryption},
	})
	if err != nil {
		db.Close()
		return nil, fmt.Errorf("temporal: %w", err)
	}
	return &service{log: log, keys: keys, db: db, client: c}, nil
}

// rightsPatience is how long a program waits at its start to hear what it may do in the database.
const rightsPatience = 5 * time.Second

// openStore opens a pool, and refuses one that has other rights than its role. While the database is away nothing is known of that: every connection
// is asked again.
func openStore(ctx context.Context, url seal.Secret, opts store.Options) (*store.DB, error) {
	db, err := store.Open(ctx, url.Reveal(), opts)
	if err != nil {
		return nil, err
	}
	asked, cancel := context.WithTimeout(ctx, rightsPatience)
	defer cancel()
	var rights *store.RightsError
	if err := db.CheckRights(asked); errors.As(err, &rights) {
		db.Close()
		return nil, rights
	}
	return db, nil
}

func (s *service) close() {
	s.client.Close()
	s.db.Close()
}

// temporalTLS is nil for a plain connection.
func temporalTLS(t config.Temporal) (*tls.Config, error) {
	if t.TLSCert == "" {
		return nil, nil //nolint:nilnil // the SDK's way to say "plain"
	}
	pair, err := tls.LoadX509KeyPair(t.TLSCert, t.TLSKey)
	if err != nil {
		return nil, fmt.Errorf("SLUICE_TEMPORAL_TLS_CERT and _KEY: %w", err)
	}
	settings := &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	if t.TLSCA != "" {
		pem, err := os.ReadFile(t.TLSCA)
		if err != nil {
			return nil, fmt.Errorf("SLUICE_TEMPORAL_TLS_CA: %w", err)
		}
		settings.RootCAs = x509.NewCertPool()
		if !settings.RootCAs.AppendCertsFromPEM(pem) {
			return nil, errors.New("SLUICE_TEMPORAL_TLS_CA holds no certificate")
		}
	}
	return settings, nil
}

// listen opens a TCP listener.
func listen(ctx context.Context, address string) (net.Listener, error) {
	var l net.ListenConfig
	return l.Listen(ctx, "tcp", address)
}

// serveInternal serves health and metrics until ctx ends.
func serveInternal(ctx context.Context, listener net.Listener, handler http.Handler) error {
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serve health and metrics: %w", err)
	case <-ctx.Done():
		return server.Close()
	}
}

// addressVerifier proves that an address comes from the wallet that was imported, before it is shown to a payer.
type addressVerifier struct{ keys *seal.Keyring }

// VerifyAddress authenticates the wallet's row and derives the address again.
func (v addressVerifier) VerifyAddress(origin store.Origin) error {
	w := origin.Wallet
	if err := v.keys.Verify(w.MAC, store.MACXpub, w.MACParts()...); err != nil {
		return fmt.Errorf("wallet %s: %w", w.ID, err)
	}
	if w.Merchant != "" && w.Merchant != origin.Merchant {
		return fmt.Errorf("wallet %s: it is another merchant's", w.ID)
	}
	if w.Family != payment.FamilyEVM {
		return fmt.Errorf("wallet %s: addresses of family %s cannot be derived", w.ID, w.Family)
	}
	key, err := hd.ParseXPub(w.Xpub.Reveal())
	if err != nil {
		return fmt.Errorf("wallet %s: %w", w.ID, err)
	}
	derived, err := key.Derive(origin.Index)
	if err != nil {
		return fmt.Errorf("wallet %s: %w", w.ID, err)
	}
	if derived != origin.Address {
		return fmt.Errorf("wallet %s: index %d derives another address than the one recorded", w.ID, origin.Index)
	}
	return nil
}
