package relay

import (
	"errors"
	"strings"
)

// screens are where the settings of a login stand, by the beginnings of their names.
var screens = [...][2]string{
	{"the policies of the app", "External Client App Manager, sfrelay, Policies"},
	{"the app", "External Client App Manager: deploy salesforce/ to it"},
	{"clientId", "External Client App Manager, sfrelay, Settings, Consumer Key and Secret"},
	{"clientSecret", "External Client App Manager, sfrelay, Settings, Consumer Key and Secret"},
	{"privateKey", "External Client App Manager, sfrelay, Settings"},
	{"username", "Users"},
	{"SALESFORCE_URL", "My Domain"},
}

// screenOf is the screen of the org with a setting, in brackets.
func screenOf(setting string) string {
	for _, s := range screens {
		if strings.HasPrefix(setting, s[0]) {
			return " (Setup, " + s[1] + ")"
		}
	}
	return ""
}

// Denied reports whether the org says that its user has no right. It says so in three ways:
// what one may not see is not there.
func (e *Refused) Denied() bool {
	switch e.Code {
	case "INSUFFICIENT_ACCESS", "INSUFFICIENT_ACCESS_OR_READONLY", "INVALID_TYPE":
		return true
	}
	return false
}

// customizer names what a refusal of the Tooling API lacks.
func customizer(err error) error {
	no, ok := errors.AsType[*Refused](err)
	if !ok || no.Setting != "" {
		return err
	}
	named := *no
	switch {
	case no.Denied():
		named.Setting = "the rights of the user of the credentials: it needs Customize Application, in Setup, Permission Sets, System Permissions"
	case strings.Contains(no.Message, "with namespace"):
		named.Setting = "the name: it has two underscores in a row, which look like a namespace; write one"
	default:
		return err
	}
	return &named
}

// Blind is the first thing that the user of the credentials may not see and that nothing can
// be set up without, with the right that it needs; empty if all is seen.
func (v *View) Blind() string {
	for _, what := range []string{"named credentials", "relays", "states of relays", "members of channels"} {
		for _, u := range v.Unseen {
			if strings.HasPrefix(u, what+":") {
				return u + "; the user of the credentials needs View Setup and Configuration: Setup, Permission Sets, Sfrelay_Reader, Manage Assignments"
			}
		}
	}
	return ""
}
