package template_test

import (
	"fmt"
	"slices"
	"strings"
)

// What of the state the stack uses: its own, or what is there already.
const (
	tableName     = `{"Fn::If":["MakesTable",{"Ref":"GuardTable"},{"Ref":"ExistingGuardTable"}]}`
	bucketName    = `{"Fn::If":["MakesBucket",{"Ref":"FailureBucket"},{"Ref":"ExistingFailureBucket"}]}`
	guardTableARN = `{"Fn::Sub":["arn:${AWS::Partition}:dynamodb:${AWS::Region}:${AWS::AccountId}:table/${Table}",{"Table":` + tableName + `}]}`
)

// objectsARN is the ARN of objects of the bucket that the stack uses.
func objectsARN(keys string) string {
	return `{"Fn::Sub":["arn:${AWS::Partition}:s3:::${Bucket}/` + keys + `",{"Bucket":` + bucketName + `}]}`
}

// resourceOf is Resource.Attribute of a Fn::GetAtt; of the guard table whichever the stack uses.
func resourceOf(v any) string {
	if text(v) == guardTableARN {
		return "GuardTable.Arn"
	}
	return getAtt(v)
}

// stateComesBack: a table and a bucket that are there already take the place of the stack's
// own, everywhere; then the stack makes none. What an existing one is called is not in the
// stack, so deleting the stack cannot delete it.
func stateComesBack(t Template) (wrong []string) {
	for _, c := range []struct{ id, parameter, condition, pattern string }{
		{"GuardTable", "ExistingGuardTable", "MakesTable", "([A-Za-z0-9_.-]{3,255})?"},
		{"FailureBucket", "ExistingFailureBucket", "MakesBucket", "([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])?"},
	} {
		if at(t.Parameters[c.parameter], "Default") != "" || at(t.Parameters[c.parameter], "AllowedPattern") != c.pattern {
			wrong = append(wrong, c.parameter+" is not empty by default, or takes what is no name")
		}
		if text(t.Conditions[c.condition]) != fmt.Sprintf(`{"Fn::Equals":[{"Ref":%q},""]}`, c.parameter) {
			wrong = append(wrong, c.condition+" does not hold where "+c.parameter+" is empty, and only there")
		}
		if t.Resources[c.id].Condition != c.condition {
			wrong = append(wrong, c.id+" is made beside an existing one")
		}
		for id, r := range t.Resources {
			if r.Condition != c.condition && names(r.Properties, c.id, c.condition) {
				wrong = append(wrong, fmt.Sprintf("%s names %s also where the stack makes none", id, c.id))
			}
		}
		want := fmt.Sprintf(`{"Fn::If":[%q,{"Ref":%q},{"Ref":%q}]}`, c.condition, c.id, c.parameter)
		if text(at(t.Outputs[c.id], "Value")) != want {
			wrong = append(wrong, c.id+" is not in the outputs, so sfrelay does not know it")
		}
		variable := map[string]string{"GuardTable": "GUARD_TABLE", "FailureBucket": "FAILURE_BUCKET"}[c.id]
		for id, f := range t.of("AWS::Lambda::Function") {
			if text(at(f.Properties, "Environment", "Variables", variable)) != want {
				wrong = append(wrong, fmt.Sprintf("%s does not use %s, or the existing one", id, c.id))
			}
		}
	}
	if p := t.Resources["FailureBucketPolicy"]; p.Condition != "MakesBucket" || p.DeletionPolicy != "Retain" || p.UpdateReplacePolicy != "Retain" {
		wrong = append(wrong, "FailureBucketPolicy does not stay with its bucket")
	}
	return wrong
}

// names reports whether a value names a resource outside of the branch of its condition.
func names(v any, id, condition string) bool {
	switch v := v.(type) {
	case []any:
		return slices.ContainsFunc(v, func(each any) bool { return names(each, id, condition) })
	case map[string]any:
		if branches, ok := v["Fn::If"].([]any); ok && len(branches) == 3 && branches[0] == condition {
			return names(branches[2], id, condition)
		}
		if v["Ref"] == id || strings.HasPrefix(getAtt(v), id+".") {
			return true
		}
		for _, each := range v {
			if names(each, id, condition) {
				return true
			}
		}
	case string:
		return strings.Contains(v, "${"+id+"}") || strings.Contains(v, "${"+id+".")
	}
	return false
}

var existingMutations = []mutation{
	{"state-can-come-back", "Parameters/ExistingGuardTable/Default", `"sfrelay-GuardTable"`, "ExistingGuardTable is not empty by default"},
	{"state-can-come-back", "Parameters/ExistingFailureBucket/AllowedPattern", `".*"`, "takes what is no name"},
	{"state-can-come-back", "Conditions/MakesTable", `{"Fn::Not":[{"Fn::Equals":[{"Ref":"ExistingGuardTable"},""]}]}`, "MakesTable does not hold"},
	{"state-can-come-back", "Conditions/MakesBucket", `{"Fn::Equals":[{"Ref":"ExistingGuardTable"},""]}`, "MakesBucket does not hold"},
	{"state-can-come-back", "Resources/GuardTable/Condition", `null`, "GuardTable is made beside an existing one"},
	{"state-can-come-back", "Resources/FailureBucket/Condition", `"MakesTable"`, "FailureBucket is made beside an existing one"},
	{"state-can-come-back", "Resources/InventoryErp/Properties/Environment/Variables/GUARD_TABLE", `{"Ref":"GuardTable"}`, "InventoryErp names GuardTable also where the stack makes none"},
	{"state-can-come-back", "Resources/InventoryErp/Properties/Environment/Variables/GUARD_TABLE", `{"Ref":"ExistingGuardTable"}`, "InventoryErp does not use GuardTable"},
	{"state-can-come-back", "Resources/Redrive/Properties/Environment/Variables/FAILURE_BUCKET", `"other"`, "Redrive does not use FailureBucket"},
	{"state-can-come-back", "Resources/RepairPolicy/Properties/PolicyDocument/Statement/0/Resource", `{"Fn::GetAtt":["GuardTable","Arn"]}`, "RepairPolicy names GuardTable also"},
	{"state-can-come-back", "Resources/RedriveRole/Properties/Policies/0/PolicyDocument/Statement/3/Resource", `{"Fn::Sub":"${FailureBucket.Arn}/*"}`, "RedriveRole names FailureBucket also"},
	{"state-can-come-back", "Outputs/GuardTable", `null`, "GuardTable is not in the outputs"},
	{"state-can-come-back", "Outputs/FailureBucket/Value", `{"Ref":"FailureBucket"}`, "FailureBucket is not in the outputs"},
	{"state-can-come-back", "Resources/FailureBucketPolicy/DeletionPolicy", `null`, "does not stay with its bucket"},
	{"state-can-come-back", "Resources/FailureBucketPolicy/Condition", `null`, "does not stay with its bucket"},
}
