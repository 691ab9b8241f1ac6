package temporalite

import (
	"context"
	"errors"
	"fmt"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	namespacepb "go.temporal.io/api/namespace/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	sdklog "go.temporal.io/sdk/log"
	"google.golang.org/protobuf/types/known/durationpb"
)

// settleTime bounds how long a new namespace or attribute may take to be known everywhere; pollInterval is how often
// it is asked. The service has no signal for it.
const (
	settleTime   = 3 * time.Minute
	pollInterval = 25 * time.Millisecond
)

// ensureNamespace makes the namespace, its retention and its search attributes what opts ask for, on a server that may
// be new or years old, and returns when they can be used.
func ensureNamespace(ctx context.Context, address string, opts Options) error {
	ctx, cancel := context.WithTimeout(ctx, settleTime)
	defer cancel()
	c, err := dial(ctx, address, opts.Namespace)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := registerNamespace(ctx, c, opts); err != nil {
		return err
	}
	if err := ensureRetention(ctx, c, opts); err != nil {
		return err
	}
	return ensureSearchAttributes(ctx, c, opts)
}

// dial waits for the frontend: the service's Start returns a moment before its ports answer.
func dial(ctx context.Context, address, namespace string) (client.Client, error) {
	var c client.Client
	err := until(ctx, "connect to the frontend", func(ctx context.Context) error {
		var err error
		c, err = client.DialContext(ctx, client.Options{HostPort: address, Namespace: namespace, Logger: discard{}})
		return err
	})
	return c, err
}

func registerNamespace(ctx context.Context, c client.Client, opts Options) error {
	err := until(ctx, "register namespace "+opts.Namespace, func(ctx context.Context) error {
		_, err := c.WorkflowService().RegisterNamespace(ctx, &workflowservice.RegisterNamespaceRequest{
			Namespace:                        opts.Namespace,
			Description:                      "Sluice's orders, chain watchers and callbacks",
			WorkflowExecutionRetentionPeriod: durationpb.New(opts.Retention),
		})
		var exists *serviceerror.NamespaceAlreadyExists
		if errors.As(err, &exists) {
			return nil
		}
		return err
	})
	if err != nil {
		return err
	}
	// Describing asks the database; listing asks the cache that starting a workflow asks.
	return until(ctx, "wait for namespace "+opts.Namespace, func(ctx context.Context) error {
		_, err := c.WorkflowService().ListWorkflowExecutions(ctx, &workflowservice.ListWorkflowExecutionsRequest{
			Namespace: opts.Namespace, PageSize: 1,
		})
		return err
	})
}

func ensureRetention(ctx context.Context, c client.Client, opts Options) error {
	described, err := c.WorkflowService().DescribeNamespace(ctx, &workflowservice.DescribeNamespaceRequest{
		Namespace: opts.Namespace,
	})
	if err != nil {
		return fmt.Errorf("describe namespace %s: %w", opts.Namespace, err)
	}
	if described.GetConfig().GetWorkflowExecutionRetentionTtl().AsDuration() == opts.Retention {
		return nil
	}
	_, err = c.WorkflowService().UpdateNamespace(ctx, &workflowservice.UpdateNamespaceRequest{
		Namespace: opts.Namespace,
		Config: &namespacepb.NamespaceConfig{
			WorkflowExecutionRetentionTtl: durationpb.New(opts.Retention),
		},
	})
	if err != nil {
		return fmt.Errorf("set the retention of namespace %s: %w", opts.Namespace, err)
	}
	return nil
}

func ensureSearchAttributes(ctx context.Context, c client.Client, opts Options) error {
	listed, err := c.OperatorService().ListSearchAttributes(ctx, &operatorservice.ListSearchAttributesRequest{
		Namespace: opts.Namespace,
	})
	if err != nil {
		return fmt.Errorf("list search attributes: %w", err)
	}
	missing := make(map[string]enumspb.IndexedValueType)
	for name, kind := range opts.SearchAttributes {
		switch have, ok := listed.GetCustomAttributes()[name]; {
		case !ok:
			missing[name] = kind
		case have != kind:
			return fmt.Errorf("search attribute %s is %s, not %s, and a type cannot change", name, have, kind)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	_, err = c.OperatorService().AddSearchAttributes(ctx, &operatorservice.AddSearchAttributesRequest{
		Namespace: opts.Namespace, SearchAttributes: missing,
	})
	if err != nil {
		return fmt.Errorf("add search attributes: %w", err)
	}
	return nil
}

// until repeats try while the service says it is not ready yet. Anything else it answers is final.
func until(ctx context.Context, what string, try func(context.Context) error) error {
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	for {
		err := try(ctx)
		if err == nil {
			return nil
		}
		if !settling(err) {
			return fmt.Errorf("%s: %w", what, err)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: %w", what, err)
		case <-ticker.C:
		}
	}
}

func settling(err error) bool {
	var (
		unavailable *serviceerror.Unavailable
		notFound    *serviceerror.NamespaceNotFound
		deadline    *serviceerror.DeadlineExceeded
		exhausted   *serviceerror.ResourceExhausted
	)
	return errors.As(err, &unavailable) || errors.As(err, &notFound) || errors.As(err, &deadline) ||
		errors.As(err, &exhausted) || errors.Is(err, context.DeadlineExceeded)
}

// discard keeps the SDK's remarks about a server that is still starting off the terminal.
type discard struct{}

var _ sdklog.Logger = discard{}

func (discard) Debug(string, ...any) {}
func (discard) Info(string, ...any)  {}
func (discard) Warn(string, ...any)  {}
func (discard) Error(string, ...any) {}
