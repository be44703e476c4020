package docs_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestAddingAConsumer does what the README says under "Add a consumer": it copies the
// smallest function, changes its name and its event, builds it and runs its tests. The
// copy only exists in an overlay of the build. What the template needs is tried in
// functions/template_test.go.
func TestAddingAConsumer(t *testing.T) {
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(root, "functions", "inventory-erp", "*.go"))
	if err != nil || len(files) != 3 {
		t.Fatalf("functions/inventory-erp has files %v, want main.go, consumer.go, consumer_test.go", files)
	}
	dir := t.TempDir()
	overlay := map[string]string{}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		renamed := strings.NewReplacer("inventory-erp", "returns-erp", "Inventory_Update__e", "Stock_Return__e").Replace(string(text))
		copied := filepath.Join(dir, filepath.Base(f))
		if err := os.WriteFile(copied, []byte(renamed), 0o600); err != nil {
			t.Fatal(err)
		}
		overlay[filepath.Join(root, "functions", "returns-erp", filepath.Base(f))] = copied
	}
	list, err := json.Marshal(map[string]any{"Replace": overlay})
	if err != nil {
		t.Fatal(err)
	}
	overlayFile := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(overlayFile, list, 0o600); err != nil {
		t.Fatal(err)
	}
	tests := filepath.Join(dir, "returns.test")
	for _, command := range [][]string{
		{"go", "build", "-overlay", overlayFile, "-o", filepath.Join(dir, "bootstrap"), "./functions/returns-erp"},
		{"go", "test", "-vet=off", "-overlay", overlayFile, "-c", "-o", tests, "./functions/returns-erp"},
		{tests, "-test.v"},
	} {
		cmd := exec.Command(command[0], command[1:]...)
		cmd.Dir = root
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", strings.Join(command, " "), err, out)
		}
		if command[0] == tests && !strings.Contains(string(out), "--- PASS: TestTheNewestQuantityWinsInAnyOrder") {
			t.Fatalf("the copied tests did not run:\n%s", out)
		}
	}
}
