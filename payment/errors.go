package payment

import (
	"errors"
	"fmt"
)

// Error is the one error type that crosses the seams between packages.
//
// Code, Param and Message may be shown to a merchant, so they never hold a
// secret, a URL or the text of a foreign error. Err is the cause: it is logged,
// never rendered.
type Error struct {
	Code    Code   // what went wrong, machine-readable
	Param   string // the request parameter at fault, "" when none is
	Message string // one sentence for a person, without Code and Param
	Err     error  // the cause, or nil
}

// E makes an Error without a cause. The arguments end up in Message, which may
// be shown to a merchant: give it no foreign errors and no secrets.
func E(code Code, param, format string, args ...any) *Error {
	return &Error{Code: code, Param: param, Message: fmt.Sprintf(format, args...)}
}

// Wrap makes an Error with cause err. The cause is kept apart from the message
// so that rendering the message cannot leak it.
func Wrap(err error, code Code, param, format string, args ...any) *Error {
	return &Error{Code: code, Param: param, Message: fmt.Sprintf(format, args...), Err: err}
}

// Error prints code, parameter, message and cause, for logs.
func (e *Error) Error() string {
	s := string(e.Code)
	if e.Param != "" {
		s += " (" + e.Param + ")"
	}
	if e.Message != "" {
		s += ": " + e.Message
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Is compares by code alone, so errors.Is(err, &Error{Code: CodeNotFound}) asks
// for the kind of failure whatever its parameter or message.
func (e *Error) Is(target error) bool {
	wanted, ok := errors.AsType[*Error](target)
	return ok && wanted.Code == e.Code
}

// CodeOf returns the code of the outermost Error in err's chain, CodeInternal
// for an error without one, and "" for nil.
func CodeOf(err error) Code {
	if err == nil {
		return ""
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return CodeInternal
}
