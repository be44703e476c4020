package docs_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/ast"
	"go/constant"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// kits are folders that no function links.
var kits = []string{"sandbox", "sinktest", "receivertest", "consumertest", "guardtest", "sim", "bench", "testdata", "dynamotest"}

type listed struct {
	ImportPath, Dir, Export string
	GoFiles                 []string
}

func list(t *testing.T, args ...string) (all []listed) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", append([]string{"list"}, args...)...)
	cmd.Stderr = os.Stderr
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0") // make test has compiled all that
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

// classes are those that the code below the import paths can write.
func classes(t *testing.T, roots ...string) []string {
	t.Helper()
	var ours []listed
	var others []string                                                                                       // no function links a kit, so what is searched imports none
	for _, p := range list(t, "-deps", "-json=ImportPath,Dir,GoFiles", "../shared/...", "../functions/...") { // what is imported comes first
		switch {
		case !slices.ContainsFunc(roots, func(r string) bool { return strings.HasPrefix(p.ImportPath, r) }):
			others = append(others, p.ImportPath)
		case !slices.ContainsFunc(strings.Split(p.ImportPath, "/"), func(part string) bool { return slices.Contains(kits, part) }):
			ours = append(ours, p)
		}
	}
	s := newSearch(t)
	for _, p := range list(t, append([]string{"-export", "-json=ImportPath,Export"}, others...)...) { // compiles nothing of ours
		s.exports[p.ImportPath] = p.Export
	}
	for _, p := range ours {
		files := map[string]any{}
		for _, f := range p.GoFiles {
			files[filepath.Join(p.Dir, f)] = nil
		}
		s.check(p.ImportPath, files)
	}
	return s.found()
}

// classesIn is classes for packages of one file, given as text.
func classesIn(t *testing.T, packages map[string]string) []string {
	t.Helper()
	s := newSearch(t)
	for _, path := range []string{"sfrelay/shared/verdict", "sfrelay/shared/p"} {
		s.check(path, map[string]any{path + ".go": packages[path]})
	}
	return s.found()
}

// search follows texts to where they become a class: from the name that
// verdict.Permanent takes, back through arguments, fields, variables and results.
type search struct {
	t       *testing.T
	set     *token.FileSet
	foreign types.Importer
	exports map[string]string // import path to compiled package
	checked map[string]*types.Package
	files   []*ast.File
	info    *types.Info

	flows map[types.Object][]ast.Expr // what is put into a variable, a field or a result
	class types.Type
	all   map[string]bool
}

func newSearch(t *testing.T) *search {
	s := &search{
		t: t, set: token.NewFileSet(), exports: map[string]string{}, checked: map[string]*types.Package{},
		flows: map[types.Object][]ast.Expr{}, all: map[string]bool{},
		info: &types.Info{Types: map[ast.Expr]types.TypeAndValue{}, Defs: map[*ast.Ident]types.Object{}, Uses: map[*ast.Ident]types.Object{},
			Selections: map[*ast.SelectorExpr]*types.Selection{}},
	}
	s.foreign = importer.ForCompiler(s.set, "gc", func(path string) (io.ReadCloser, error) { return os.Open(s.exports[path]) })
	return s
}

// Import implements types.Importer: ours are those that were read from source, so that
// a field is the same object wherever it is used.
func (s *search) Import(path string) (*types.Package, error) {
	if p, ok := s.checked[path]; ok {
		return p, nil
	}
	return s.foreign.Import(path)
}

func (s *search) check(path string, sources map[string]any) {
	s.t.Helper()
	var files []*ast.File
	for name, src := range sources {
		f, err := parser.ParseFile(s.set, name, src, 0)
		if err != nil {
			s.t.Fatal(err)
		}
		files = append(files, f)
	}
	p, err := (&types.Config{Importer: s}).Check(path, s.set, files, s.info)
	if err != nil {
		s.t.Fatal(err)
	}
	s.checked[path], s.files = p, append(s.files, files...)
}

var className = regexp.MustCompile(`^[a-z][a-z0-9-]*$`)

func (s *search) found() []string {
	s.t.Helper()
	home := s.checked["sfrelay/shared/verdict"]
	s.class = home.Scope().Lookup("Class").Type()
	for _, f := range s.files {
		ast.Inspect(f, func(n ast.Node) bool { s.note(n); return true })
	}
	for _, tv := range s.info.Types {
		if tv.Value != nil && types.Identical(tv.Type, s.class) {
			s.add(tv.Value)
		}
	}
	for _, name := range home.Scope().Names() {
		if c, ok := home.Scope().Lookup(name).(*types.Const); ok && types.Identical(c.Type(), s.class) {
			s.add(c.Val())
		}
	}
	s.follow(home.Scope().Lookup("Permanent").Type().(*types.Signature).Params().At(0))
	var names []string
	for name := range s.all {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func (s *search) add(v constant.Value) {
	if v.Kind() != constant.String {
		return
	}
	if name := strings.TrimPrefix(constant.StringVal(v), "permanent/"); className.MatchString(name) {
		s.all[name] = true
	}
}

// follow adds the constants that can stand in a variable, a field or a result.
func (s *search) follow(start types.Object) {
	seen := map[types.Object]bool{}
	var object func(types.Object)
	var text func(ast.Expr)
	object = func(o types.Object) {
		if o == nil || seen[o] {
			return
		}
		seen[o] = true
		for _, e := range s.flows[o] {
			text(e)
		}
	}
	text = func(e ast.Expr) {
		if tv := s.info.Types[e]; tv.Value != nil {
			s.add(tv.Value)
			return
		}
		switch e := ast.Unparen(e).(type) {
		case *ast.Ident:
			object(s.object(e))
		case *ast.SelectorExpr:
			object(s.object(e.Sel))
		case *ast.CallExpr:
			if s.info.Types[e.Fun].IsType() { // a conversion
				text(e.Args[0])
			} else if sig, ok := s.info.Types[e.Fun].Type.(*types.Signature); ok && sig.Results().Len() > 0 {
				object(s.resultOf(e.Fun))
			}
		}
	}
	object(start)
}

// object is what a name means, whatever a generic type is made of.
func (s *search) object(id *ast.Ident) types.Object {
	o := s.info.Uses[id]
	if o == nil {
		o = s.info.Defs[id]
	}
	switch v := o.(type) {
	case *types.Var:
		return v.Origin()
	case *types.Func:
		return v.Origin()
	}
	return o
}

// resultOf stands for what a function returns: the function itself.
func (s *search) resultOf(fun ast.Expr) types.Object {
	switch f := ast.Unparen(fun).(type) {
	case *ast.Ident:
		return s.object(f)
	case *ast.SelectorExpr:
		return s.object(f.Sel)
	}
	return nil
}

func (s *search) flow(to types.Object, e ast.Expr) {
	if v, ok := to.(*types.Var); ok {
		to = v.Origin()
	}
	if to != nil {
		s.flows[to] = append(s.flows[to], e)
	}
}

// note notes what flows where at one node.
func (s *search) note(n ast.Node) {
	switch n := n.(type) {
	case *ast.CallExpr:
		sig, ok := s.info.Types[n.Fun].Type.(*types.Signature)
		if !ok {
			return
		}
		params := sig.Params()
		if f, ok := s.resultOf(n.Fun).(*types.Func); ok { // those of a generic one before it was made
			params = f.Type().(*types.Signature).Params()
		}
		for i, arg := range n.Args {
			if i < params.Len() {
				s.flow(params.At(i), arg)
			}
		}
	case *ast.CompositeLit:
		s.noteLiteral(n)
	case *ast.AssignStmt:
		if len(n.Lhs) != len(n.Rhs) {
			return
		}
		for i, l := range n.Lhs {
			switch l := l.(type) {
			case *ast.Ident:
				s.flow(s.object(l), n.Rhs[i])
			case *ast.SelectorExpr:
				s.flow(s.object(l.Sel), n.Rhs[i])
			}
		}
	case *ast.ValueSpec:
		for i, v := range n.Values {
			if len(n.Names) == len(n.Values) {
				s.flow(s.object(n.Names[i]), v)
			}
		}
	case *ast.FuncDecl:
		if n.Body == nil {
			return
		}
		ast.Inspect(n.Body, func(inner ast.Node) bool {
			if r, ok := inner.(*ast.ReturnStmt); ok {
				for _, e := range r.Results {
					s.flow(s.object(n.Name), e)
				}
			}
			_, literal := inner.(*ast.FuncLit)
			return !literal
		})
	}
}

func (s *search) noteLiteral(n *ast.CompositeLit) {
	typ := s.info.Types[n].Type
	if p, ok := typ.Underlying().(*types.Pointer); ok {
		typ = p.Elem()
	}
	st, ok := typ.Underlying().(*types.Struct)
	if !ok {
		return
	}
	for i, e := range n.Elts {
		if kv, ok := e.(*ast.KeyValueExpr); ok {
			if id, ok := kv.Key.(*ast.Ident); ok {
				s.flow(s.object(id), kv.Value)
			}
			continue
		}
		s.flow(st.Field(i), e)
	}
}
