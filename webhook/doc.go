// Package webhook signs and sends callbacks: the HTTP requests that tell a
// merchant what happened to an order.
//
// # What it guarantees
//
//   - A signature is what the Standard Webhooks specification asks for, made by
//     its reference library: HMAC-SHA256 over "id.timestamp.body", one
//     signature per secret, so that a secret can be rotated without a gap.
//   - [Sender.Send] makes one attempt: one POST, no redirect followed, no proxy
//     taken from the environment, no automatic retry, never longer than the
//     configured timeout, never more than a few kilobytes of the reply read.
//   - No attempt reaches an address inside the operator's network. The address
//     is checked after name resolution, on the very address that is about to be
//     dialled, so a name that resolves differently the second time gains
//     nothing. The only way around is [Targets]: an exact list of host:port, as
//     written in the callback URL.
//   - Every attempt ends in exactly one named [Outcome].
//   - No error, result or log line made here contains a callback URL or a
//     secret. [Secret] prints as a mask however it is formatted.
//
// # What it leaves to its caller
//
// Sending is at least once: a reply that is lost after the merchant handled the
// request looks like a failure and is tried again, with the same webhook-id. The
// caller records attempts, keeps one order's events in order, limits how many
// requests an endpoint has in flight and decides with [Schedule.Next] when to
// come back. An attempt that was cut short because the caller's context ended is
// an error, not a result, and must not be recorded.
//
// # Failures
//
//	outcome           what happened                                    what follows
//	delivered         a 2xx status arrived                             done
//	gone              410                                              the endpoint is disabled
//	redirect          a 3xx status; the target is not followed         next step of the schedule
//	retry             any other status                                 next step, not before Retry-After
//	refused_target    the URL or the address it names is forbidden     next step (a name may be corrected)
//	dns_error         the name does not resolve                        next step
//	connection_error  refused, reset, closed without a reply           next step
//	tls_error         certificate or handshake                         next step
//	timeout           no complete reply header in time                 next step
//	bad_reply         a reply began and was not valid HTTP             next step
//
// The status decides, not the reply's body: once the header of a 2xx reply has
// arrived the attempt is delivered, and a body that never ends costs the
// excerpt only.
package webhook
