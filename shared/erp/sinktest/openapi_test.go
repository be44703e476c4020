package sinktest_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v4"

	"sfrelay/shared/decimal"
	"sfrelay/shared/erp"
	"sfrelay/shared/erp/httpsink"
	"sfrelay/shared/erp/sinktest"
	erpsandbox "sfrelay/shared/sandbox/erp"
	"sfrelay/shared/sink"
	"sfrelay/shared/sink/sinkhttp"
)

// The contract as a file and the contract as code say the same: whatever the
// reference sink takes is valid by the file, whatever is not valid it refuses, and
// all its answers are in the file.
func TestReferenceSinkAgreesWithTheFile(t *testing.T) {
	checked := validate(t, erpsandbox.New(erpsandbox.Options{Key: "test-key"}))
	server := httptest.NewServer(checked)
	defer server.Close()
	sinktest.RunSink(t, server.URL, "test-key")
	if checked.valid < 100 || checked.invalid < 10 {
		t.Errorf("only %d valid and %d invalid requests were seen", checked.valid, checked.invalid)
	}
}

// What the connector sends is valid by the file.
func TestConnectorAgreesWithTheFile(t *testing.T) {
	checked := validate(t, erpsandbox.New(erpsandbox.Options{Key: "test-key"}))
	server := httptest.NewServer(checked)
	defer server.Close()
	c, err := httpsink.New(sinkhttp.Static("test-key"), server.URL)
	if err != nil {
		t.Fatal(err)
	}
	ref := sink.Ref{Consumer: "customer-erp", Org: "00D000000000001EAA", Subject: "s", Version: "019aa0000000000000000000000000010000aaaa", Epoch: 1}
	text := sink.Set("Ä & \"B\"\n<C>")
	address := erp.Address{Street: text, City: text, State: sink.Clear[string](), PostalCode: text, Country: text}
	full := erp.Customer{Name: text, Number: text, Status: text, Phone: text, Website: text, Email: text, TaxNumber: text,
		Currency: sink.Clear[string](), BillingAddress: address, ShippingAddress: address}
	const id = "001000000000001AAA"
	for name, do := range map[string]func() (sink.Receipt, error){
		"put":         func() (sink.Receipt, error) { return c.Customers().Put(t.Context(), ref, id, full) },
		"put nothing": func() (sink.Receipt, error) { return c.Customers().Put(t.Context(), ref, id, erp.Customer{}) },
		"patch":       func() (sink.Receipt, error) { return c.Customers().Patch(t.Context(), ref, id, full) },
		"delete":      func() (sink.Receipt, error) { return c.Customers().Delete(t.Context(), ref, id) },
		"set": func() (sink.Receipt, error) {
			return c.Stock().Set(t.Context(), ref, erp.Level{SKU: "Ä/1 %", Warehouse: "W#1", Quantity: decimal.Must("-12.50"), Unit: "pcs"})
		},
	} {
		if _, err := do(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if checked.valid != 5 || checked.invalid != 0 {
		t.Errorf("%d valid and %d invalid requests, want 5 and 0", checked.valid, checked.invalid)
	}
}

// checker stands before a sink and holds requests and answers against the file.
type checker struct {
	t    *testing.T
	next http.Handler
	doc  map[string]any

	mu             sync.Mutex
	compiler       *jsonschema.Compiler
	valid, invalid int
}

func validate(t *testing.T, next http.Handler) *checker {
	t.Helper()
	b, err := os.ReadFile("../../../docs/reference/http-sink.openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var tree any
	if err := yaml.Unmarshal(b, &tree); err != nil {
		t.Fatal(err)
	}
	// Once through JSON: numbers become what the schema library expects, and what
	// YAML allows and JSON does not is found.
	if b, err = json.Marshal(tree); err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	c := &checker{t: t, next: next, doc: doc.(map[string]any), compiler: jsonschema.NewCompiler()}
	c.compiler.DefaultDraft(jsonschema.Draft2020)
	if err := c.compiler.AddResource("https://contract.example/openapi.json", doc); err != nil {
		t.Fatal(err)
	}
	for name := range c.at("#/components/schemas") {
		if err := c.check("#/components/schemas/"+name, nil); err != nil && strings.Contains(err.Error(), "compile") {
			t.Fatal(err)
		}
	}
	return c
}

// at follows a reference within the file.
func (c *checker) at(ref string) map[string]any {
	v := any(c.doc)
	for part := range strings.SplitSeq(strings.TrimPrefix(ref, "#/"), "/") {
		m, ok := v.(map[string]any)
		if !ok {
			c.t.Fatalf("%s is not in the file", ref)
		}
		v = m[strings.NewReplacer("~1", "/", "~0", "~").Replace(part)]
	}
	m, ok := v.(map[string]any)
	if !ok {
		c.t.Fatalf("%s is not in the file", ref)
	}
	return m
}

func (c *checker) resolve(m map[string]any) map[string]any {
	for range 5 {
		ref, ok := m["$ref"].(string)
		if !ok {
			return m
		}
		m = c.at(ref)
	}
	c.t.Fatal("a reference leads nowhere")
	return nil
}

func (c *checker) check(ref string, value any) error {
	s, err := c.compiler.Compile("https://contract.example/openapi.json" + ref)
	if err != nil {
		return fmt.Errorf("compile %s: %w", ref, err)
	}
	return s.Validate(value)
}

// schemaRef is the reference of a schema that the file names.
func (c *checker) schemaRef(holder any) string {
	ref, ok := holder.(map[string]any)["schema"].(map[string]any)["$ref"].(string)
	if !ok {
		c.t.Fatal("a schema of the file is not a reference")
	}
	return ref
}

func (c *checker) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		c.t.Error(err)
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	rec := httptest.NewRecorder()
	c.next.ServeHTTP(rec, r)

	c.mu.Lock()
	defer c.mu.Unlock()
	parts := strings.SplitN(strings.TrimPrefix(r.URL.EscapedPath(), "/"), "/", 3)
	path := "/" + parts[0] + "/{org}/{key}"
	if item, ok := c.doc["paths"].(map[string]any)[path].(map[string]any); ok {
		if operation, ok := item[strings.ToLower(r.Method)].(map[string]any); ok {
			invalid := c.request(item, operation, parts, r, body)
			taken := rec.Code < 300 || rec.Code == http.StatusPreconditionFailed
			switch {
			case invalid == nil:
				c.valid++
			case taken:
				c.t.Errorf("%s %s was taken (%d) and is not valid by the file: %v", r.Method, r.URL.Path, rec.Code, invalid)
			default:
				c.invalid++
			}
			if err := c.answer(operation, rec); err != nil {
				c.t.Errorf("%s %s: the answer %d is not in the file: %v", r.Method, r.URL.Path, rec.Code, err)
			}
		}
	}
	for name, values := range rec.Header() {
		w.Header()[name] = values
	}
	w.WriteHeader(rec.Code)
	w.Write(rec.Body.Bytes())
}

func (c *checker) request(item, operation map[string]any, parts []string, r *http.Request, body []byte) error {
	for _, p := range item["parameters"].([]any) {
		p := c.resolve(p.(map[string]any))
		name := p["name"].(string)
		var value any
		switch {
		case p["in"] == "path" && name == "org":
			value = parts[1]
		case p["in"] == "path":
			key, err := url.PathUnescape(parts[2])
			if err != nil {
				return err
			}
			value = key
		case len(r.Header.Values(name)) != 1:
			return fmt.Errorf("%s is not there once", name)
		case name == "Sfrelay-Epoch":
			value = json.Number(r.Header.Get(name))
			if _, err := value.(json.Number).Int64(); err != nil {
				return fmt.Errorf("%s is not a number", name)
			}
		default:
			value = r.Header.Get(name)
		}
		if err := c.check(c.schemaRef(p), value); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	wanted, hasBody := operation["requestBody"].(map[string]any)
	if !hasBody {
		if len(body) > 0 {
			return fmt.Errorf("a body where there is none")
		}
		return nil
	}
	media, ok := wanted["content"].(map[string]any)[r.Header.Get("Content-Type")]
	if !ok {
		return fmt.Errorf("content type %q", r.Header.Get("Content-Type"))
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err != nil {
		return err
	}
	return c.check(c.schemaRef(media), value)
}

func (c *checker) answer(operation map[string]any, rec *httptest.ResponseRecorder) error {
	listed, ok := operation["responses"].(map[string]any)[fmt.Sprint(rec.Code)].(map[string]any)
	if !ok {
		return fmt.Errorf("no such status")
	}
	contentType, _, err := mime.ParseMediaType(rec.Header().Get("Content-Type"))
	if err != nil {
		return err
	}
	media, ok := c.resolve(listed)["content"].(map[string]any)[contentType]
	if !ok {
		return fmt.Errorf("content type %q", contentType)
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(rec.Body.Bytes()))
	if err != nil {
		return err
	}
	return c.check(c.schemaRef(media), value)
}

// Shown a file that says something else, the checker objects.
func TestCheckerObjects(t *testing.T) {
	c := validate(t, nil)
	for ref, value := range map[string]any{
		"Customer":   map[string]any{"nmae": "A"},
		"Level":      map[string]any{"sku": "A", "warehouse": "W", "quantity": "1e3"},
		"Receipt":    map[string]any{"outcome": "created", "id": ""},
		"Superseded": map[string]any{"reason": "epoch", "version": "019aa0000000000000000000000000010000aaaa"},
		"Version":    "019AA0000000000000000000000000010000AAAA",
		"Epoch":      json.Number("0"),
		"StockKey":   "a@b@c",
		"RecordID":   "001000000000001",
	} {
		if err := c.check("#/components/schemas/"+ref, value); err == nil {
			t.Errorf("%s takes %v", ref, value)
		}
	}
}
