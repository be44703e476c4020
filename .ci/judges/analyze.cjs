// The rules of PMD that the Code Analyzer recommends: prints their number, then every finding on a line. analyze.cjs MODULES FOLDER
const find = (name) => require(require.resolve(name, { paths: [process.argv[2]] }));
const core = find("@salesforce/code-analyzer-core");
const pmd = find("@salesforce/code-analyzer-pmd-engine");

async function main() {
  const analyzer = new core.CodeAnalyzer(core.CodeAnalyzerConfig.withDefaults());
  await analyzer.addEnginePlugin(pmd.createEnginePlugin());
  const workspace = await analyzer.createWorkspace([process.argv[3]]);
  const rules = await analyzer.selectRules(["pmd:Recommended"], { workspace });
  const result = await analyzer.run(rules, { workspace });
  console.log(`${rules.getCount()} rules`);
  for (const v of result.getViolations()) {
    const at = v.getCodeLocations()[v.getPrimaryLocationIndex()];
    console.log(`${v.getRule().getName()} ${at.getFile()}:${at.getStartLine()} ${v.getMessage()}`);
  }
}

main().catch((e) => {
  console.error(e);
  process.exit(1);
});
