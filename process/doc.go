// Package process is the contract between whoever starts, signals or inspects a workflow and the code that runs it: ids,
// task queues, names, payload types and search attributes. It holds no logic, so the API, the workers, the relay and the
// tests can share it without sharing anything else.
//
// Payloads carry ids and codes only. Anybody who reaches the Temporal frontend can send a signal, so no payload is
// believed: a workflow that is woken reads the database and acts on what it finds there.
//
// Names are for ever: a running workflow was started under them. Add, never rename.
package process
