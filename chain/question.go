package chain

import (
	"context"
	"sync"
)

// Question is one question to one endpoint, as its caller sees it: it may take many calls, whose answers are all kept until
// it is answered. What an endpoint's client may hold only a little of at a time is kept here until then.
type Question struct {
	mu   sync.Mutex
	kept map[any]func()
}

type questionKey struct{}

// WithQuestion returns a context for one question. Its end has to be called when the question is answered.
func WithQuestion(ctx context.Context) (context.Context, *Question) {
	q := &Question{kept: map[any]func(){}}
	return context.WithValue(ctx, questionKey{}, q), q
}

// QuestionOf returns the question that ctx is for, nil when it is for none.
func QuestionOf(ctx context.Context) *Question {
	q, _ := ctx.Value(questionKey{}).(*Question)
	return q
}

// Has tells whether something is kept under a key.
func (q *Question) Has(key any) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.kept[key] != nil
}

// Keep keeps something under a key that is free, until the end.
func (q *Question) Keep(key any, release func()) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.kept[key] = release
}

// End releases all that is kept.
func (q *Question) End() {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, release := range q.kept {
		release()
	}
	clear(q.kept)
}
