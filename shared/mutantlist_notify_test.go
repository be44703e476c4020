package shared_test

var notifyMutants = []mutant{
	{
		name: "addresses-are-not-looked-at", file: "notify/webhook/address.go",
		old:  "Control: r.control, ",
		new:  "",
		test: "TestANameThatLeadsInside", protects: "what is connected to is looked at after DNS has answered",
	},
	{
		name: "mapped-addresses-pass", file: "notify/webhook/address.go",
		old:  `ip = ip.Unmap().WithZone("")`,
		new:  `ip = ip.WithZone("")`,
		test: "TestAddressesThatMayBeConnectedTo", protects: "an IPv4 address within an IPv6 one is judged as what it is",
	},
	{
		name: "a-nat64-hides-addresses", file: "notify/webhook/address.go",
		old:  "if nat64.Contains(ip) {",
		new:  "if nat64.Contains(ip) && ip.Is4() {",
		test: "TestAddressesThatMayBeConnectedTo", protects: "behind a NAT64 are the same addresses",
	},
	{
		name: "metadata-is-private", file: "notify/webhook/address.go",
		old:  "in(ip, private) && !in(ip, metadata)",
		new:  "in(ip, private)",
		test: "TestAddressesThatMayBeConnectedTo", protects: "EC2's metadata over IPv6 is in the private space and is nobody's receiver",
	},
	{
		name: "loopback-reaches-further", file: "notify/webhook/address.go",
		old:  "return ip.IsLoopback()",
		new:  "if ip.IsLoopback() {\n\t\t\treturn true\n\t\t}",
		test: "TestAddressesThatMayBeConnectedTo", protects: "an address on loopback reaches loopback only",
	},
	{
		name: "old-tls", file: "notify/webhook/address.go",
		old:  "MinVersion: tls.VersionTLS12",
		new:  "MinVersion: tls.VersionTLS10",
		test: "TestOldTLSIsRefused", protects: "TLS 1.2 at least",
	},
	{
		name: "dead-connections-fail", file: "notify/webhook/webhook.go",
		old:  `"Idempotency-Key": {},`,
		new:  "",
		test: "TestAConnectionThatDiedIsNoFailure", protects: "a function that was frozen wakes up with dead connections",
	},
	{
		name: "the-epoch-is-in-the-id", file: "notify/webhook/webhook.go",
		old:  `ref.ActionKey("tell", 0)`,
		new:  `ref.ActionKey("tell", int(ref.Epoch))`,
		test: "TestEveryEventIsToldAndActedOnOnce", protects: "an attempt in doubt is sent again with the same id",
	},
	{
		name: "blanks-between-secrets", file: "notify/webhook/webhook.go",
		old:  "sinkhttp.NewKey(oneLine(secret))",
		new:  "sinkhttp.NewKey(secret)",
		test: "TestBothSecretsSign", protects: "two secrets are valid while one is rotated",
	},
	{
		name: "a-short-secret", file: "notify/webhook/secrets.go",
		old:  "len(raw) < leastKey || ",
		new:  "",
		test: "TestASecretOfAnotherForm", protects: "a signing secret has 24 bytes at least",
	},
	{
		name: "secrets-stay-refused", file: "notify/webhook/webhook.go",
		old:  "if sink.ClassOf(err) != verdict.Auth || renewed {",
		new:  "if true || renewed {",
		test: "TestSecretsAreReadLateKeptAndRenewedOnce", protects: "a rotated secret is read without a new deployment",
	},
	{
		name: "values-in-any-order", file: "notify/webhook/body.go",
		old:  "for _, name := range slices.Sorted(maps.Keys(n.Values)) {",
		new:  "names := slices.Sorted(maps.Keys(n.Values))\n\t\tslices.Reverse(names)\n\t\tfor _, name := range names {",
		test: "TestWhatIsSent", protects: "the same notification has the same body",
	},
	{
		name: "replays-are-acted-on", file: "sandbox/webhook/sandbox.go",
		old:  "off > Tolerance || off < -Tolerance",
		new:  "off > Tolerance",
		test: "TestReceiverHoldsTheSuite", protects: "a time of the future is as wrong as one of the past",
	},
	{
		name: "the-sandbox-keeps-connections", file: "sandbox/webhook/sandbox.go",
		old:  `w.Header().Set("Connection", "close")`,
		new:  "",
		test: "TestAFaultIsNotHiddenByAKeptConnection", protects: "a fault that was ordered is seen",
	},
	{
		name: "headers-without-end", file: "notify/webhook/address.go",
		old:  "MaxResponseHeaderBytes: 64 << 10,",
		new:  "",
		test: "TestHeadersAreBounded", protects: "what is read of an answer is bounded, its headers too",
	},
}
