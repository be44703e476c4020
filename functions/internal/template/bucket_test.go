package template_test

import "slices"

// bucketKeeps: what fits no message lies in one private bucket, for longer than a queue can
// keep the message about it, and each consumer may put it there and get it back.
func bucketKeeps(t Template) (wrong []string) {
	const id = "FailureBucket"
	b, ok := t.Resources[id]
	if !ok || len(t.of("AWS::S3::Bucket")) != 1 {
		return []string{"there must be one bucket, " + id}
	}
	if b.DeletionPolicy != "Retain" || b.UpdateReplacePolicy != "Retain" {
		wrong = append(wrong, id+" would be deleted with what lies in it")
	}
	for path, want := range map[string]string{
		"PublicAccessBlockConfiguration": `{"BlockPublicAcls":true,"BlockPublicPolicy":true,"IgnorePublicAcls":true,"RestrictPublicBuckets":true}`,
		"OwnershipControls":              `{"Rules":[{"ObjectOwnership":"BucketOwnerEnforced"}]}`,
		"BucketEncryption":               `{"ServerSideEncryptionConfiguration":[{"Fn::If":["HasKmsKey",{"BucketKeyEnabled":true,"ServerSideEncryptionByDefault":{"KMSMasterKeyID":{"Ref":"KmsKey"},"SSEAlgorithm":"aws:kms"}},{"ServerSideEncryptionByDefault":{"SSEAlgorithm":"AES256"}}]}]}`,
		"LifecycleConfiguration":         `{"Rules":[{"ExpirationInDays":30,"Id":"Expire","Status":"Enabled"}]}`,
	} {
		if got := text(b.Properties[path]); got != want {
			wrong = append(wrong, id+": "+path+" must be "+want+", is "+got)
		}
	}
	// The name is CloudFormation's: two stacks of one account would want the same.
	if b.Properties["BucketName"] != nil {
		wrong = append(wrong, id+" has a name of its own")
	}
	statements, _ := at(t.Resources[id+"Policy"].Properties, "PolicyDocument", "Statement").([]any)
	if ref(t.Resources[id+"Policy"].Properties["Bucket"]) != id || len(statements) != 1 || text(at(statements[0], "Effect")) != `"Deny"` ||
		at(statements[0], "Principal") != "*" || at(statements[0], "Action") != "s3:*" ||
		text(at(statements[0], "Resource")) != `[{"Fn::GetAtt":["FailureBucket","Arn"]},{"Fn::Sub":"${FailureBucket.Arn}/*"}]` ||
		text(at(statements[0], "Condition")) != `{"Bool":{"aws:SecureTransport":"false"}}` {
		wrong = append(wrong, id+" answers without TLS, or its policy allows something")
	}
	for consumer := range t.Mappings.Consumers {
		if !t.puts(consumer) {
			wrong = append(wrong, consumer+" may not put and get its objects")
		}
	}
	return wrong
}

// puts reports whether a consumer's role lets it put and get its own objects.
func (t Template) puts(consumer string) bool {
	var actions []any
	for _, policy := range flatten(t.Resources[consumer+"Role"].Properties["Policies"]) {
		for _, s := range flatten(at(policy, "PolicyDocument", "Statement")) {
			if at(s, "Effect") == "Allow" && ownObjects(s, consumer) {
				actions = append(actions, flatten(at(s, "Action"))...)
			}
		}
	}
	return slices.Contains(actions, any("s3:PutObject")) && slices.Contains(actions, any("s3:GetObject"))
}

// ownObjects reports whether a statement is about the objects of one consumer, in a bucket
// of the stack's own account.
func ownObjects(statement any, consumer string) bool {
	return text(at(statement, "Resource")) == objectsARN(consumerName(consumer)+"/*") &&
		text(at(statement, "Condition")) == `{"StringEquals":{"aws:ResourceAccount":{"Ref":"AWS::AccountId"}}}`
}
