package stripesandbox

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/lestrrat-go/jsval"
	"github.com/stripe/stripe-mock/embedded"
	"github.com/stripe/stripe-mock/param"
	"github.com/stripe/stripe-mock/param/coercer"
	"github.com/stripe/stripe-mock/spec"
)

// operations are the endpoints the sandbox serves, by method and path of Stripe's
// OpenAPI file.
var operations = []string{
	"POST /v1/customers",
	"GET /v1/customers",
	"GET /v1/customers/search",
	"GET /v1/customers/{customer}",
	"POST /v1/customers/{customer}",
	"DELETE /v1/customers/{customer}",
	"POST /v1/customers/{customer}/tax_ids",
	"DELETE /v1/customers/{customer}/tax_ids/{id}",
	"POST /v1/invoices",
	"GET /v1/invoices",
	"GET /v1/invoices/search",
	"GET /v1/invoices/{invoice}",
	"DELETE /v1/invoices/{invoice}",
	"POST /v1/invoices/{invoice}/add_lines",
	"GET /v1/invoices/{invoice}/lines",
	"POST /v1/invoices/{invoice}/finalize",
	"POST /v1/invoices/{invoice}/send",
	"POST /v1/invoices/{invoice}",
	"POST /v1/invoices/{invoice}/void",
	"POST /v1/invoices/{invoice}/pay",
}

// validator checks the parameters of one operation against Stripe's own OpenAPI
// description, as stripe-mock does.
type validator struct {
	schema *spec.Schema
	check  *jsval.JSVal
}

// APIVersion is the version of the description that requests are checked against.
func APIVersion() (string, error) {
	var file struct {
		Info struct {
			Version string `json:"version"`
		} `json:"info"`
	}
	err := json.Unmarshal(embedded.OpenAPISpec, &file)
	return file.Info.Version, err
}

// validators are made from the description inside stripe-mock, once per process.
// Only the operations above are read: the rest of the 8 MB is skipped.
var validators = sync.OnceValues(func() (map[string]validator, error) {
	var file struct {
		Paths map[string]map[string]json.RawMessage `json:"paths"`
	}
	if err := json.Unmarshal(embedded.OpenAPISpec, &file); err != nil {
		return nil, fmt.Errorf("the OpenAPI file inside stripe-mock: %w", err)
	}
	all := make(map[string]validator, len(operations))
	for _, name := range operations {
		method, path, _ := strings.Cut(name, " ")
		v, err := newValidator(file.Paths[path][strings.ToLower(method)])
		if err != nil {
			return nil, fmt.Errorf("%s in the OpenAPI file inside stripe-mock: %w", name, err)
		}
		all[name] = v
	}
	return all, nil
})

func newValidator(raw json.RawMessage) (validator, error) {
	// The answers of an operation are left out on purpose: they are large.
	var op struct {
		Parameters  []*spec.Parameter `json:"parameters"`
		RequestBody *spec.RequestBody `json:"requestBody"`
	}
	if err := json.Unmarshal(raw, &op); err != nil {
		return validator{}, err
	}
	schema := spec.BuildQuerySchema(&spec.Operation{Parameters: op.Parameters})
	if op.RequestBody != nil {
		if form, ok := op.RequestBody.Content["application/x-www-form-urlencoded"]; ok && len(form.Schema.Properties) > 0 {
			schema = form.Schema
		}
	}
	check, err := spec.GetValidatorForOpenAPI3Schema(schema, nil)
	return validator{schema: schema, check: check}, err
}

// params reads and checks the parameters of a request.
func (v validator) params(r *http.Request) (map[string]any, error) {
	p, err := param.ParseParams(r)
	if err != nil {
		return nil, err
	}
	if p == nil {
		p = map[string]any{}
	}
	if err := coercer.CoerceParams(v.schema, p); err != nil {
		return nil, err
	}
	if err := v.check.Validate(p); err != nil {
		return nil, err
	}
	return p, lengths(v.schema, p, "")
}

// lengths checks maxLength, which stripe-mock's validator lets pass.
func lengths(s *spec.Schema, value any, name string) error {
	switch value := value.(type) {
	case string:
		if s.MaxLength > 0 && utf8.RuneCountInString(value) > s.MaxLength {
			return fmt.Errorf("%s is longer than %d characters", name, s.MaxLength)
		}
		for _, alternative := range s.AnyOf {
			if alternative.Type == "string" && len(alternative.Enum) == 0 {
				return lengths(alternative, value, name)
			}
		}
	case map[string]any:
		for _, alternative := range s.AnyOf {
			if alternative.Type == "object" {
				return lengths(alternative, value, name)
			}
		}
		for key, v := range value {
			if property, ok := s.Properties[key]; ok {
				if err := lengths(property, v, name+"["+key+"]"); err != nil {
					return err
				}
			}
		}
	case []any:
		if s.Items == nil {
			return nil
		}
		for _, v := range value {
			if err := lengths(s.Items, v, name+"[]"); err != nil {
				return err
			}
		}
	}
	return nil
}
