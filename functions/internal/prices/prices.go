// Package prices holds those of AWS that docs/cost.md names with their source and date, for
// the tests that compute what something costs.
package prices

// List is in US dollars.
type List struct {
	PartnerEvents, Writes, Requests, GBSeconds, SQS float64 // a million
	LogsGB                                          float64 // one
	Metric, AlarmMetric, Dashboard, Secret          float64 // a month
}

// USEast1 are those of us-east-1.
var USEast1 = List{
	PartnerEvents: 1, Writes: 0.625, Requests: 0.20, GBSeconds: 13.3334, SQS: 0.40, LogsGB: 0.50,
	Metric: 0.30, AlarmMetric: 0.10, Dashboard: 3, Secret: 0.40,
}

const (
	// LambdaLines are the KB that Lambda itself writes for an invocation: START, END, REPORT.
	LambdaLines = 0.35
	// BytesOfGB are those of a GB of logs.
	BytesOfGB = 1 << 30
)
