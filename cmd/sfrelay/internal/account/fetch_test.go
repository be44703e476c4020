package account

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"sfrelay/shared/failurebucket/buckettest"
	"sfrelay/shared/transport"
)

// The bucket is the one of the stack's outputs.
func TestFetch(t *testing.T) {
	s3 := &buckettest.S3{Bucket: "failures"}
	server := httptest.NewServer(s3)
	defer server.Close()
	cfg := aws.Config{Region: buckettest.Region, HTTPClient: http.DefaultClient, BaseEndpoint: &server.URL,
		Credentials: credentials.NewStaticCredentialsProvider(buckettest.KeyID, buckettest.Secret, "")}
	s, err := transport.Store("customer-erp", []byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	s3.Put(s.Key(), []byte("x"))
	body, err := Fetch(cfg, map[string]string{"FailureBucket": "failures"})(t.Context(), s)
	if err != nil || string(body) != "x" {
		t.Errorf("%q, %v", body, err)
	}
	if _, err := Fetch(cfg, map[string]string{"FailureBucket": "../x"})(t.Context(), s); err == nil || !strings.Contains(err.Error(), "output FailureBucket") {
		t.Errorf("%v", err)
	}
	if Fetch(cfg, map[string]string{}) != nil {
		t.Error("a stack of an earlier version has a bucket")
	}
}
