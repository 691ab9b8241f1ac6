package payment

import "slices"

// Evidence says what a confirmed inclusion rests on.
type Evidence string

// The grades of evidence, weakest first.
const (
	// EvidenceNone: nothing was checked.
	EvidenceNone Evidence = ""
	// EvidenceSingle: one operator said so.
	EvidenceSingle Evidence = "single"
	// EvidenceSelfConsistent: one operator said so, and its receipts hash to its block.
	EvidenceSelfConsistent Evidence = "self_consistent"
	// EvidenceAgreed: two operators said the same.
	EvidenceAgreed Evidence = "agreed"
	// EvidenceProven: the receipts hash to a block hash that another operator told.
	EvidenceProven Evidence = "proven"
)

// Evidences lists every grade, weakest first.
func Evidences() []Evidence {
	return []Evidence{EvidenceNone, EvidenceSingle, EvidenceSelfConsistent, EvidenceAgreed, EvidenceProven}
}

// ParseEvidence returns CodeInvalidParameter for a word that is no grade.
func ParseEvidence(s string) (Evidence, error) {
	if !slices.Contains(Evidences(), Evidence(s)) {
		return "", E(CodeInvalidParameter, "", "unknown grade of evidence")
	}
	return Evidence(s), nil
}

// AtLeast tells whether this evidence is enough where least is asked for. An
// unknown grade is never enough.
func (e Evidence) AtLeast(least Evidence) bool {
	mine, asked := slices.Index(Evidences(), e), slices.Index(Evidences(), least)
	return mine >= 0 && asked >= 0 && mine >= asked
}
