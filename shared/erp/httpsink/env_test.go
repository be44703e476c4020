package httpsink_test

import (
	"context"
	"strings"
	"testing"

	"sfrelay/shared/config"
	"sfrelay/shared/erp/httpsink"
)

func TestFromEnvNamesEveryMistake(t *testing.T) {
	for _, c := range []struct {
		env   map[string]string
		wrong []string // the variables, in order
	}{
		{map[string]string{"ERP": "http", "ERP_SECRET": "key", "ERP_URL": "https://erp.example.com/sfrelay/"}, nil},
		{nil, []string{"ERP", "ERP_URL", "ERP_SECRET"}},
		{map[string]string{"ERP": "soap", "ERP_URL": "https://user:hidden@erp.example.com"}, []string{"ERP", "ERP_URL", "ERP_SECRET"}},
		{map[string]string{"ERP": "http", "ERP_SECRET": "key", "ERP_URL": "http://erp.example.com"}, []string{"ERP_URL"}},
	} {
		r := config.NewReader(func(name string) (string, bool) { v, ok := c.env[name]; return v, ok })
		asked := ""
		client := httpsink.FromEnv(r, func(name string) func(context.Context) (string, error) {
			asked = name
			return func(context.Context) (string, error) { return "", nil }
		})
		var wrong []string
		if err := r.Err(); err != nil {
			for _, line := range strings.Split(err.Error(), "\n")[1:] {
				name, _, _ := strings.Cut(line, " ")
				wrong = append(wrong, strings.TrimSuffix(name, ":"))
			}
		}
		if strings.Join(wrong, " ") != strings.Join(c.wrong, " ") || client == nil || asked != "" && asked != c.env["ERP_SECRET"] {
			t.Errorf("%v: wrong are %q, want %q; the secret is %q", c.env, wrong, c.wrong, asked)
		}
		client.Customers().Contract() // a definition can be made all the same
	}
}
