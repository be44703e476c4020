package orgsandbox

import (
	"archive/zip"
	"bytes"
	"encoding/base64"
	"io"
	"net/http"
	"path"
	"regexp"
	"strings"
)

// component is one file of a deployment.
type component struct {
	file, name, kind string
	text             []byte
}

// kinds are the metadata types by the folder of their files.
var kinds = map[string]string{
	"applications": "CustomApplication", "classes": "ApexClass", "eventRelays": "EventRelayConfig", "externalClientApps": "ExternalClientApplication",
	"extlClntAppOauthPolicies": "ExtlClntAppOauthConfigurablePolicies", "extlClntAppOauthSettings": "ExtlClntAppOauthSettings", "flows": "Flow",
	"namedCredentials": "NamedCredential", "objects": "CustomObject", "permissionsets": "PermissionSet", "platformEventChannelMembers": "PlatformEventChannelMember",
	"platformEventChannels": "PlatformEventChannel", "triggers": "ApexTrigger",
}

// mostFiles is the largest deployment that Salesforce takes.
const mostFiles = 10_000

// unpack reads the components of a zip.
func unpack(archive []byte) ([]component, error) {
	z, err := zip.NewReader(bytes.NewReader(archive), int64(len(archive)))
	if err != nil || len(z.File) > mostFiles {
		return nil, refuse(http.StatusBadRequest, "INVALID_ZIP", "the deployment is no zip of at most %d files", mostFiles)
	}
	all := []component{}
	for _, f := range z.File {
		if strings.HasSuffix(f.Name, "/") || strings.HasSuffix(f.Name, "-meta.xml") {
			continue
		}
		name, kind := strings.TrimSuffix(path.Base(f.Name), path.Ext(f.Name)), kinds[path.Base(path.Dir(f.Name))]
		if path.Base(f.Name) == "package.xml" {
			name, kind = "package.xml", ""
		}
		text, err := content(f)
		if err != nil {
			return nil, refuse(http.StatusBadRequest, "INVALID_ZIP", "%s cannot be read", f.Name)
		}
		all = append(all, component{f.Name, name, kind, text})
	}
	return all, nil
}

func content(f *zip.File) ([]byte, error) {
	r, err := f.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(io.LimitReader(r, maxBody))
}

// deployREST takes a form of several parts: options in JSON, then the zip.
func (s *Org) deployREST(c *call) (*answer, error) {
	i := bytes.Index(c.body, []byte("PK\x03\x04"))
	end := bytes.LastIndex(c.body, []byte("\r\n--"))
	if i < 0 || end < i {
		return nil, refuse(http.StatusBadRequest, "INVALID_ZIP", "the form has no zip")
	}
	all, err := unpack(c.body[i:end])
	if err != nil {
		return nil, err
	}
	id := s.deploy(all)
	return &answer{status: http.StatusCreated, body: pairs{{"id", id}, {"deployResult", pairs{{"id", id}, {"status", "Pending"}, {"done", false}, {"success", false}}}, {"deployOptions", pairs{}}}}, nil
}

func (s *Org) deploy(all []component) string {
	id := s.newID("0Af")
	s.deploys[id] = all
	return id
}

func (s *Org) deployState(c *call) (*answer, error) {
	all, there := s.deploys[c.PathValue("id")]
	if !there {
		return nil, notFound()
	}
	return ok(pairs{{"id", c.PathValue("id")}, {"deployResult", s.result(c.PathValue("id"), all)}})
}

// result says what is wrong with a deployment; one mistake fails all of it.
func (s *Org) result(id string, all []component) pairs {
	at := s.now().Format(restTime)
	successes, failures, failed := []pairs{}, []pairs{}, map[string]bool{}
	for _, f := range s.mistakes(all) {
		failed[f.file] = true
		failures = append(failures, pairs{{"changed", false}, {"columnNumber", nil}, {"componentType", f.kind}, {"created", false}, {"createdDate", at}, {"deleted", false}, {"fileName", f.file},
			{"fullName", f.name}, {"lineNumber", nil}, {"problem", f.problem}, {"problemType", "Error"}, {"success", false}})
	}
	status, good := "Succeeded", len(failures) == 0
	if !good {
		status = "Failed"
	}
	for _, m := range all {
		if failed[m.file] {
			continue
		}
		successes = append(successes, pairs{{"changed", true}, {"componentType", m.kind}, {"created", true}, {"createdDate", at}, {"deleted", false}, {"fileName", m.file},
			{"fullName", m.name}, {"problem", nil}, {"problemType", nil}, {"success", true}})
	}
	tests := pairs{{"numFailures", 0}, {"numTestsRun", 0}, {"totalTime", 0}, {"codeCoverage", []pairs{}}, {"codeCoverageWarnings", []pairs{}}, {"failures", []pairs{}}, {"successes", []pairs{}}}
	return pairs{{"checkOnly", false}, {"completedDate", at}, {"createdBy", UserID}, {"createdByName", "Integration User"}, {"createdDate", at},
		{"details", pairs{{"componentFailures", failures}, {"componentSuccesses", successes}, {"runTestResult", tests}}}, {"done", true}, {"id", id}, {"ignoreWarnings", false},
		{"lastModifiedDate", at}, {"numberComponentErrors", len(failures)}, {"numberComponentsDeployed", len(successes)}, {"numberComponentsTotal", len(all)}, {"numberTestErrors", 0},
		{"numberTestsCompleted", 0}, {"numberTestsTotal", 0}, {"rollbackOnError", true}, {"runTestsEnabled", false}, {"startDate", at}, {"status", status}, {"success", good}}
}

var (
	zipForm  = regexp.MustCompile(`(?i)<(?:\w+:)?ZipFile>([^<]+)<`)
	idForm   = regexp.MustCompile(`<(?:\w+:)?(?:asyncProcessId|id)>([^<]+)<`)
	loggedIn = regexp.MustCompile(`<(?:\w+:)?sessionId>([^<]+)<`)
)

// soapMetadata is what there is of the Metadata API in SOAP.
func (s *Org) soapMetadata(c *call) (*answer, error) {
	const namespace = "http://soap.sforce.com/2006/04/metadata"
	if m := loggedIn.FindSubmatch(c.body); m == nil || !s.sessions[string(m[1])] {
		return fault("sf:INVALID_SESSION_ID", "INVALID_SESSION_ID: Invalid Session ID found in SessionHeader: Illegal Session")
	}
	switch operation := operation(c.body); operation {
	case "deploy":
		m := zipForm.FindSubmatch(c.body)
		if m == nil {
			return fault("sf:INVALID_ZIP", "INVALID_ZIP: no ZipFile")
		}
		archive, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(string(m[1])), ""))
		if err != nil {
			return fault("sf:INVALID_ZIP", "INVALID_ZIP: ZipFile is not base64")
		}
		all, err := unpack(archive)
		if err != nil {
			return fault("sf:INVALID_ZIP", err.Error())
		}
		return envelope(namespace, operation, pairs{{"done", false}, {"id", s.deploy(all)}, {"state", "Queued"}})
	case "checkDeployStatus":
		m := idForm.FindSubmatch(c.body)
		if m == nil || s.deploys[string(m[1])] == nil {
			return fault("sf:INVALID_CROSS_REFERENCE_KEY", "INVALID_CROSS_REFERENCE_KEY: invalid cross reference id")
		}
		return envelope(namespace, operation, s.result(string(m[1]), s.deploys[string(m[1])]))
	case "readMetadata":
		return s.definitions(c.body)
	case "describeMetadata":
		types := []pairs{}
		for _, folder := range []string{"classes", "eventRelays", "flows", "namedCredentials", "objects", "permissionsets", "platformEventChannelMembers", "platformEventChannels", "triggers"} {
			types = append(types, pairs{{"directoryName", folder}, {"inFolder", false}, {"metaFile", folder == "classes" || folder == "triggers"}, {"xmlName", kinds[folder]}})
		}
		return envelope(namespace, operation, pairs{{"metadataObjects", types}, {"organizationNamespace", nil}, {"partialSaveAllowed", true}, {"testRequired", false}})
	}
	return fault("sf:UNKNOWN_EXCEPTION", "UNKNOWN_EXCEPTION: No operation available for request")
}
