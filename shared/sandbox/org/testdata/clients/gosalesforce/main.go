// Flows of go-salesforce against the org sandbox: one line of JSON for each, its result or
// its error. It speaks its built-in version of the API, 63: on others its pages break.
package main

import (
	"encoding/json"
	"fmt"
	"os"

	salesforce "github.com/k-capehart/go-salesforce/v3"
)

type account struct{ Id, Name string }

func flow(name string, result any, err error) {
	line := map[string]any{"flow": name, "result": result}
	if err != nil {
		line = map[string]any{"flow": name, "error": err.Error()}
	}
	text, err := json.Marshal(line)
	if err != nil {
		panic(err)
	}
	fmt.Println(string(text))
}

func main() {
	var known struct{ ConsumerKey, ConsumerSecret, Username, PrivateKey string }
	if err := json.Unmarshal([]byte(os.Getenv("ORG_CREDENTIALS")), &known); err != nil {
		panic(err)
	}
	base := os.Getenv("ORG_URL")
	_, err := salesforce.Init(salesforce.Creds{Domain: base, ConsumerKey: known.ConsumerKey, ConsumerSecret: "wrong"})
	flow("client credentials refused", nil, err)
	c, err := salesforce.Init(salesforce.Creds{Domain: base, ConsumerKey: known.ConsumerKey, ConsumerSecret: known.ConsumerSecret})
	flow("client credentials", c != nil, err)
	if err != nil {
		os.Exit(1)
	}
	var rows []account
	err = c.Query("SELECT Id, Name FROM Account WHERE Id = '0015f0000200001AAA'", &rows)
	flow("query", rows, err)
	rows = nil
	err = c.Query("SELECT Id, Name FROM Account", &rows)
	flow("query in pages", len(rows), err)
	err = c.Query("SELECT Nope FROM Account", &rows)
	flow("query of a wrong field", nil, err)
	result, err := c.InsertOne("Account", map[string]any{"Name": "Of Go"})
	flow("insert", len(result.Id), err)
	err = c.UpdateOne("Account", map[string]any{"Id": result.Id, "Name": "Of go-salesforce"})
	flow("update", nil, err)
	rows = nil
	err = c.Query("SELECT Id, Name FROM Account WHERE Id = '"+result.Id+"'", &rows)
	flow("query what was updated", len(rows) == 1 && rows[0].Name == "Of go-salesforce", err)
	err = c.DeleteOne("Account", map[string]any{"Id": result.Id})
	flow("delete", nil, err)
}
