package evm

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/sluicepay/sluice/chain"
)

// What is taken in of answers. A few bytes can be zipped megabytes, and a megabyte of "{}," a gigabyte of structs, so the
// bytes are counted unzipped, and what they will weigh when decoded is counted while they come in.
const (
	// objectWeight and itemWeight are what an object and an item of a list count as: no real one takes fewer bytes.
	objectWeight = 128
	itemWeight   = 32
	// leastWeight is what may be taken in however few bytes are allowed.
	leastWeight = 1 << 20
	// deepest is how deep an answer may be nested: a trace has two levels for each of the 1,024 that calls can have.
	deepest = 4096
	// large is from how many bytes on an answer is one of few that are held at a time: one of each endpoint, and
	// manyLarge of all.
	large     = 1 << 20
	manyLarge = 3
)

// MemoryBound is what the answers of all endpoints hold at most at any time, as bytes and decoded, with what is not yet
// collected of it. A test measures it.
const MemoryBound = 512 << 20

// heldLarge holds a token for each endpoint whose large answers this process holds.
var heldLarge = make(chan struct{}, manyLarge)

// intake takes in the answers to the calls of one batch, however many requests it is sent in. Together they are bounded by
// Options.MaxAnswer.
type intake struct {
	source *Source
	bytes  int64
	shape  shaper
	held   func() // what has to be given back, nil when nothing
}

func (s *Source) newIntake() *intake {
	return &intake{source: s, shape: shaper{most: max(s.opts.MaxAnswer, leastWeight)}}
}

// read reads one answer to its end. It returns ErrTooLarge and ErrMalformed as soon as it is clear that there is no point in
// reading on.
func (in *intake) read(ctx context.Context, r io.Reader) ([]byte, error) {
	most := in.source.opts.MaxAnswer - in.bytes
	buffer := make([]byte, 0, min(4<<10, most+1))
	in.shape.begin()
	for {
		if len(buffer) == cap(buffer) {
			grown := make([]byte, len(buffer), min(2*int64(cap(buffer)), most+1))
			copy(grown, buffer)
			buffer = grown
		}
		n, err := r.Read(buffer[len(buffer):cap(buffer)])
		came := buffer[len(buffer) : len(buffer)+n]
		buffer = buffer[:len(buffer)+n]
		in.bytes += int64(n)
		if in.bytes > in.source.opts.MaxAnswer {
			return nil, fmt.Errorf("%w: more than %d bytes", chain.ErrTooLarge, in.source.opts.MaxAnswer)
		}
		if err := in.shape.add(came); err != nil {
			return nil, err
		}
		if in.bytes > large {
			if err := in.hold(ctx); err != nil {
				return nil, err
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return buffer, nil
		case err != nil:
			return nil, err
		}
	}
}

// hold waits until a large answer may be held, and keeps others from that until the question is answered; where nobody says
// which question this is, until the batch is.
func (in *intake) hold(ctx context.Context) error {
	question, own := chain.QuestionOf(ctx), in.source.large
	if in.held != nil || question != nil && question.Has(in.source) {
		return nil
	}
	for i, token := range []chan struct{}{own, heldLarge} {
		select {
		case token <- struct{}{}:
		case <-ctx.Done():
			if i > 0 {
				<-own
			}
			return ctx.Err()
		}
	}
	release := func() { <-heldLarge; <-own }
	if question != nil {
		question.Keep(in.source, release)
		return nil
	}
	in.held = release
	return nil
}

// close gives back what is held for the batch alone.
func (in *intake) close() {
	if in.held != nil {
		in.held()
	}
}

// shaper follows JSON as it comes in, without deciding whether it is any.
type shaper struct {
	most   int64 // what may be taken in
	weight int64 // of all so far

	lists   []bool // what is open, outermost first: lists, or else objects
	quoted  bool
	escaped bool
}

// begin begins another answer.
func (s *shaper) begin() { s.lists, s.quoted, s.escaped = s.lists[:0], false, false }

func (s *shaper) add(part []byte) error {
	for _, c := range part {
		switch {
		case s.escaped:
			s.escaped = false
		case s.quoted:
			s.escaped, s.quoted = c == '\\', c != '"'
		case c == '"':
			s.quoted = true
		case c == '{', c == '[':
			s.open(c == '[')
		case c == '}', c == ']':
			s.lists = s.lists[:max(len(s.lists)-1, 0)]
		case c == ',' && len(s.lists) > 0 && s.lists[len(s.lists)-1]:
			s.weight += itemWeight
		}
		if s.weight > s.most {
			return fmt.Errorf("%w: too many parts", chain.ErrTooLarge)
		}
		if len(s.lists) > deepest {
			return fmt.Errorf("%w: nested too deep", chain.ErrMalformed)
		}
	}
	return nil
}

func (s *shaper) open(list bool) {
	s.lists = append(s.lists, list)
	s.weight += objectWeight
	if list {
		s.weight += itemWeight - objectWeight
	}
}
