package workers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"
	enumspb "go.temporal.io/api/enums/v1"
	namespacepb "go.temporal.io/api/namespace/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/sluicepay/sluice/process"
)

// Retention is how long Temporal keeps closed workflows. No promise rests on it.
const Retention = 30 * 24 * time.Hour

// Bounds of the waiting while Temporal is away or its caches have not heard of something new.
const (
	firstRetry = 200 * time.Millisecond
	mostRetry  = 5 * time.Second
)

// Prepare makes the namespace, its retention and the search attributes what this release needs, and returns once a workflow
// that carries every attribute could be started: a new attribute is refused until caches have heard of it, so nothing is ready before.
// It may run at any time and in any number of processes. It retries until ctx ends, and returns ctx's error then; any other error
// is something that waiting does not mend.
func Prepare(ctx context.Context, c client.Client, namespace string, log *slog.Logger) error {
	steps := []struct {
		name string
		do   func(context.Context) error
	}{
		{"namespace", func(ctx context.Context) error { return ensureNamespace(ctx, c, namespace) }},
		{"search attributes", func(ctx context.Context) error { return ensureAttributes(ctx, c, namespace) }},
		{"probe", func(ctx context.Context) error { return probe(ctx, c) }},
	}
	for _, step := range steps {
		if err := retry(ctx, log, "prepare Temporal: "+step.name, step.do); err != nil {
			return fmt.Errorf("prepare Temporal: %s: %w", step.name, err)
		}
	}
	return nil
}

// fatalError is one that waiting does not mend.
type fatalError struct{ error }

func (e fatalError) Unwrap() error { return e.error }

// retry repeats do until it succeeds, fails for good, or ctx ends. It logs the first failure and then every tenth.
func retry(ctx context.Context, log *slog.Logger, what string, do func(context.Context) error) error {
	delay := firstRetry
	for attempt := 0; ; attempt++ {
		err := do(ctx)
		if err == nil {
			return nil
		}
		if fatal, ok := errors.AsType[fatalError](err); ok {
			return fatal.error
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if attempt%10 == 0 {
			log.WarnContext(ctx, what+" is not done yet, trying again", "error", err)
		}
		if err := pause(ctx, delay); err != nil {
			return err
		}
		delay = min(2*delay, mostRetry)
	}
}

// pause waits for d or the end of ctx.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func ensureNamespace(ctx context.Context, c client.Client, namespace string) error {
	service := c.WorkflowService()
	described, err := service.DescribeNamespace(ctx, &workflowservice.DescribeNamespaceRequest{Namespace: namespace})
	if _, missing := errors.AsType[*serviceerror.NamespaceNotFound](err); missing {
		_, err = service.RegisterNamespace(ctx, &workflowservice.RegisterNamespaceRequest{
			Namespace: namespace, Description: "Sluice's orders, chain watchers and callbacks",
			WorkflowExecutionRetentionPeriod: durationpb.New(Retention),
		})
		if _, raced := errors.AsType[*serviceerror.NamespaceAlreadyExists](err); raced {
			err = nil
		}
		return err
	}
	if err != nil || described.GetConfig().GetWorkflowExecutionRetentionTtl().AsDuration() == Retention {
		return err
	}
	_, err = service.UpdateNamespace(ctx, &workflowservice.UpdateNamespaceRequest{
		Namespace: namespace,
		Config:    &namespacepb.NamespaceConfig{WorkflowExecutionRetentionTtl: durationpb.New(Retention)},
	})
	return err
}

func ensureAttributes(ctx context.Context, c client.Client, namespace string) error {
	service := c.OperatorService()
	listed, err := service.ListSearchAttributes(ctx, &operatorservice.ListSearchAttributesRequest{Namespace: namespace})
	if err != nil {
		return err
	}
	missing := make(map[string]enumspb.IndexedValueType)
	for name, kind := range process.SearchAttributeTypes() {
		switch have, ok := listed.GetCustomAttributes()[name]; {
		case !ok:
			missing[name] = kind
		case have != kind:
			return fatalError{fmt.Errorf("%s is %s, must be %s, and a type cannot change", name, have, kind)}
		}
	}
	if len(missing) == 0 {
		return nil
	}
	_, err = service.AddSearchAttributes(ctx, &operatorservice.AddSearchAttributesRequest{Namespace: namespace, SearchAttributes: missing})
	if _, raced := errors.AsType[*serviceerror.AlreadyExists](err); raced {
		return nil
	}
	return err
}

// probe starts a workflow that carries every search attribute. It need not run: that the service accepted it is the point.
func probe(ctx context.Context, c client.Client) error {
	const value = "probe"
	_, err := c.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID:                       "probe/" + uuid.NewString(),
		TaskQueue:                process.OrdersQueue,
		WorkflowExecutionTimeout: time.Minute,
		TypedSearchAttributes: temporal.NewSearchAttributes(
			process.AttrOrderStatus.ValueSet(value), process.AttrMerchantID.ValueSet(value), process.AttrChain.ValueSet(value),
			process.AttrAsset.ValueSet(value), process.AttrPayAddress.ValueSet(value), process.AttrBlockedStep.ValueSet(value),
			process.AttrExpiresAt.ValueSet(time.Unix(0, 0).UTC()),
		),
	}, process.ProbeWorkflow)
	return err
}
