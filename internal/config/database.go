package config

import (
	"crypto/tls"
	"fmt"
	"net"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/sluicepay/sluice/internal/seal"
)

// protected refuses a database URL by which somebody between could read and change what is said: money is moved by it. TLS that asks for no
// certificate (require, and prefer, the default) is no protection: whoever is in between shows one of his own. The driver's own reading counts, with
// its environment (PGSSLMODE, PGHOST, …), service files, and every host and way that it would fall back to.
func (p PlainDatabase) protected(variable string, url seal.Secret) error {
	settings, err := pgx.ParseConfig(url.Reveal())
	if err != nil {
		return fmt.Errorf("config: %s cannot be read: neither a PostgreSQL URL, nor are the files there that it names", variable) // its text may hold the password
	}
	if p.DatabaseInsecure {
		return nil
	}
	open := !verified(settings.Host, settings.TLSConfig)
	for _, other := range settings.Fallbacks {
		open = open || !verified(other.Host, other.TLSConfig)
	}
	if open {
		return fmt.Errorf("config: %s reaches a host that is not loopback without proof of whom it talks to: set sslmode=verify-full and sslrootcert, "+
			"or SLUICE_DATABASE_INSECURE=true where the network itself is private", variable)
	}
	return nil
}

// verified tells whether nobody can be between: on this machine, or by a certificate that is checked. For sslmode=verify-ca the driver checks
// in a function of its own.
func verified(host string, settings *tls.Config) bool {
	if strings.HasPrefix(host, "/") || strings.HasPrefix(host, "@") || loopback(net.JoinHostPort(host, "0")) {
		return true
	}
	return settings != nil && (!settings.InsecureSkipVerify || settings.VerifyPeerCertificate != nil)
}
