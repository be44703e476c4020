package salesforce

import (
	"fmt"
	"strings"
)

// suffixLetters are the 32 letters of the last three characters of an
// 18-character id: each stands for five characters before it, one bit for every
// capital, the first character being the lowest bit.
const suffixLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"

// ID18 is the 18-character form of a record id. A 15-character id gets its
// suffix; an 18-character one is returned as it is once its suffix proves that no
// system on the way changed the case of a letter: two ids that differ in case only
// name two records.
func ID18(id string) (string, error) {
	if len(id) != 15 && len(id) != 18 {
		return "", refuse("invalid-id", "", fmt.Sprintf("a record id has 15 or 18 characters, this one has %d", len(id)))
	}
	var suffix [3]byte
	for i := range suffix {
		bits := 0
		for j := range 5 {
			c := id[i*5+j]
			switch {
			case c >= 'A' && c <= 'Z':
				bits |= 1 << j
			case c >= 'a' && c <= 'z', c >= '0' && c <= '9':
			default:
				return "", refuse("invalid-id", "", "a record id consists of letters and digits")
			}
		}
		suffix[i] = suffixLetters[bits]
	}
	if len(id) == 15 {
		return id + string(suffix[:]), nil
	}
	if id[15:] != string(suffix[:]) {
		return "", refuse("invalid-id", "", "the last three characters do not fit the case of the first fifteen: some system on the way changed the case")
	}
	return id, nil
}

// OrgList is an allow-list of orgs by 18-character id. A nil list allows any org.
type OrgList []string

// ParseOrgList reads ids of 15 or 18 characters, separated by commas. An empty
// list is a mistake, not "any".
func ParseOrgList(s string) (OrgList, error) {
	list := OrgList{}
	for part := range strings.SplitSeq(s, ",") {
		part = strings.TrimSpace(part)
		if part == "" {
			continue
		}
		id, err := ID18(part)
		if err != nil {
			return nil, fmt.Errorf("org id %q: %w", part, err)
		}
		if !strings.HasPrefix(id, "00D") {
			return nil, fmt.Errorf("org id %q: an org id begins with 00D", part)
		}
		list = append(list, id)
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("no org id: name at least one, 15 or 18 characters, separated by commas")
	}
	return list, nil
}

// Allows reports whether events of the org (18 characters) are welcome.
func (l OrgList) Allows(org string) bool {
	if l == nil {
		return true
	}
	for _, o := range l {
		if o == org {
			return true
		}
	}
	return false
}
