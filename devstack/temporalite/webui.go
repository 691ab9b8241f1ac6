package temporalite

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"

	uiserver "github.com/temporalio/ui-server/v2/server"
	uiconfig "github.com/temporalio/ui-server/v2/server/config"
	uioptions "github.com/temporalio/ui-server/v2/server/server_options"

	"github.com/sluicepay/sluice/devstack/loopback"
)

type webUI struct {
	server *uiserver.Server
	url    string
	done   chan struct{}
}

// startWebUI serves the UI on port and returns when it answers.
func startWebUI(ctx context.Context, frontend string, port int, namespace string) (*webUI, error) {
	ui := &webUI{
		server: uiserver.NewServer(uioptions.WithConfigProvider(&uiconfig.Config{
			TemporalGRPCAddress: frontend,
			Host:                loopback.Host,
			Port:                port,
			EnableUI:            true,
			DefaultNamespace:    namespace,
			DisableNewsFetch:    true,
			HideLogs:            true,
			// Plain HTTP on loopback: browsers that insist on HTTPS for secure cookies would refuse every button.
			CORS: uiconfig.CORS{CookieInsecure: true},
		})),
		url:  "http://" + loopback.Addr(port),
		done: make(chan struct{}),
	}
	go func() {
		defer close(ui.done)
		_ = ui.server.Start()
	}()
	if err := waitHTTP(ctx, ui.url+"/healthz"); err != nil {
		ui.stop()
		return nil, fmt.Errorf("start the temporal UI on port %d: %w", port, err)
	}
	return ui, nil
}

func (ui *webUI) stop() {
	ui.server.Stop()
	<-ui.done
}

// WorkflowURL is the page of one workflow's latest run in the UI at base.
func WorkflowURL(base, namespace, workflowID string) string {
	return base + "/namespaces/" + url.PathEscape(namespace) + "/workflows/" + url.PathEscape(workflowID)
}

// waitHTTP returns when a GET of address answers 200.
func waitHTTP(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeout(ctx, settleTime)
	defer cancel()
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	for {
		err := getOK(ctx, address)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-ticker.C:
		}
	}
}

func getOK(ctx context.Context, address string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s answers %s", address, response.Status)
	}
	return nil
}
