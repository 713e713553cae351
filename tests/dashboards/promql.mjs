// SPDX-License-Identifier: GPL-2.0-only
// Parses every expression that comes as a line "WHERE<TAB>EXPRESSION" on standard input with Prometheus' own grammar for editors, and prints
// "WHERE<TAB>METRIC" for each metric that it selects. An expression that does not parse ends it with status 1.
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";

const require = createRequire(process.argv[2] + "/");
const { parser } = require("@prometheus-io/lezer-promql");
let bad = 0;

for (const line of readFileSync(0, "utf8").split("\n").filter(Boolean)) {
	const tab = line.indexOf("\t");
	const where = line.slice(0, tab), expr = line.slice(tab + 1);

	parser.parse(expr).iterate({
		enter(node) {
			if (node.type.isError) {
				console.error(`${where}: not PromQL at column ${node.from + 1}: ${expr}`);
				bad = 1;
			}
			if (node.name === "Identifier" && node.node.parent.name === "VectorSelector")
				console.log(`${where}\t${expr.slice(node.from, node.to)}`);
		},
	});
}
process.exit(bad);
