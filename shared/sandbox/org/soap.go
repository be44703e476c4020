package orgsandbox

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"net/http"
	"regexp"
)

var bodyForm = regexp.MustCompile(`<(?:[\w-]+:)?Body[^>]*>\s*<(?:[\w-]+:)?(\w+)`)

// operation is the name of the first element in the body of a SOAP request.
func operation(body []byte) string {
	if m := bodyForm.FindSubmatch(body); m != nil {
		return string(m[1])
	}
	return ""
}

// envelope is a SOAP answer.
func envelope(namespace, operation string, result pairs) (*answer, error) {
	var b bytes.Buffer
	fmt.Fprintf(&b, `<?xml version="1.0" encoding="UTF-8"?><soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" xmlns="%s" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><soapenv:Body><%sResponse><result>`, namespace, operation)
	elements(&b, result)
	fmt.Fprintf(&b, `</result></%sResponse></soapenv:Body></soapenv:Envelope>`, operation)
	return &answer{status: http.StatusOK, body: b.Bytes(), header: map[string]string{"Content-Type": "text/xml;charset=UTF-8"}}, nil
}

// fault is a SOAP error; its status is 500 whatever is wrong.
func fault(code, text string) (*answer, error) {
	var b bytes.Buffer
	b.WriteString(`<?xml version="1.0" encoding="UTF-8"?><soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" xmlns:sf="urn:fault.partner.soap.sforce.com"><soapenv:Body><soapenv:Fault>`)
	elements(&b, pairs{{"faultcode", code}, {"faultstring", text}})
	b.WriteString(`</soapenv:Fault></soapenv:Body></soapenv:Envelope>`)
	return &answer{status: http.StatusInternalServerError, body: b.Bytes(), header: map[string]string{"Content-Type": "text/xml;charset=UTF-8"}}, nil
}

// elements writes each member as an element, a list as many of them.
func elements(b *bytes.Buffer, of pairs) {
	for _, m := range of {
		list, many := m.value.([]pairs)
		if !many {
			list = []pairs{nil}
		}
		for _, one := range list {
			fmt.Fprintf(b, "<%s>", m.name)
			switch v := m.value.(type) {
			case nil:
			case pairs:
				elements(b, v)
			case []pairs:
				elements(b, one)
			default:
				_ = xml.EscapeText(b, fmt.Append(nil, v)) // a buffer takes everything
			}
			fmt.Fprintf(b, "</%s>", m.name)
		}
	}
}
