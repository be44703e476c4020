package relaymonitor

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"sfrelay/shared/relay"
	"sfrelay/shared/telemetry"
)

// Report is what one run saw. Write makes lines and metrics of it.
type Report struct {
	At                  time.Time
	Org                 string // id; empty: it did not say
	Refused, Setting    string // the code with which the org refused to answer, and what to correct
	Delivered, Requests relay.Limit
	Pause               *relay.Pause
	Unseen              []string // what of the org could not be seen, and why
	Relays              []State
}

// State is one relay.
type State struct {
	Name, Bus  string // the bus is that of the stack
	Wanted, Is string // states of the relay
	Source     string // state of the event source; empty: not seen
	ErrorCode  string
	Down       []string // why it is down
	Announced  bool     // it is paused, and somebody announced that
	Last       time.Time
	HoursLeft  float64
	HoursSeen  bool // else nothing is known of HoursLeft
	StatesSeen bool // else Salesforce did not say how it does
	Unseen     []string
}

// The metrics of the lines. What was not seen is not measured: no number says that it is fine.
const (
	relayDown      = "relayDown"      // 1: no event comes by it, and nobody announced that
	relayError     = "relayError"     // 1: Salesforce says that it is in error
	relayUnseen    = "relayUnseen"    // 1: something was not seen
	relayAnnounced = "relayAnnounced" // 1: it is paused, and somebody announced that
	sourcePending  = "sourcePending"  // 1: the event source has no bus
	relayLag       = "relayLagMs"     // since the last event that was relayed; a quiet org has none
	relayHoursLeft = "relayHoursLeft" // until the oldest event that waits is deleted; 72 while it runs
	orgRefused     = "orgRefused"     // 1: the org took no login, or did not answer
	orgAllocation  = "orgAllocation"  // percent of the day, of delivered events or API requests: the larger one
)

// keptHours is what a relay that runs has left.
var keptHours = relay.LongestPause.Hours()

var (
	byService = [][]string{{"service"}}
	byRelay   = [][]string{{"service", "relay"}}
	byBoth    = [][]string{{"service"}, {"service", "relay"}}
)

func yes(name string, is bool, by [][]string) telemetry.Measure {
	m := telemetry.Measure{Name: name, Unit: "Count", By: by}
	if is {
		m.Value = 1
	}
	return m
}

// Write writes a line for each relay, and one for the org.
func (r *Report) Write(log *telemetry.Log) {
	for i := range r.Relays {
		r.Relays[i].write(log, r)
	}
	attrs := []slog.Attr{slog.String("org", r.Org), slog.Bool("reached", r.Refused == "")}
	measures := []telemetry.Measure{yes(orgRefused, r.Refused != "", byService), yes(relayUnseen, len(r.Unseen) > 0, byService)}
	attrs = append(attrs, texts("refused", r.Refused, "setting", r.Setting)...)
	if percent, known := r.allocation(); known {
		attrs = append(attrs, slog.String("delivered", r.Delivered.Says("events")), slog.String("requests", r.Requests.Says("API requests")))
		measures = append(measures, telemetry.Measure{Name: orgAllocation, Unit: "Percent", Value: percent, By: byService})
	}
	if r.Pause.Running(r.At) {
		attrs = append(attrs, slog.String("announcedUntil", r.Pause.Until.Format(time.RFC3339)), slog.String("announcedBy", r.Pause.By))
	}
	attrs = append(attrs, list("unseen", r.Unseen)...)
	log.Measured(r.At, level(r.Refused != "" || len(r.Unseen) > 0), "org", attrs, measures)
}

// allocation is what is used of the day in percent, of that of which more is used.
func (r *Report) allocation() (percent float64, known bool) {
	for _, l := range []relay.Limit{r.Delivered, r.Requests} {
		if l.Max > 0 {
			percent, known = max(percent, float64(l.Used())*100/float64(l.Max)), true
		}
	}
	return percent, known
}

func (s *State) write(log *telemetry.Log, r *Report) {
	attrs := []slog.Attr{slog.String("relay", s.Name), slog.String("bus", s.Bus)}
	attrs = append(attrs, texts("org", r.Org, "wanted", s.Wanted, "is", s.Is, "source", s.Source, "errorCode", s.ErrorCode)...)
	attrs = append(append(attrs, list("down", s.Down)...), list("unseen", s.Unseen)...)
	measures := []telemetry.Measure{yes(relayUnseen, len(s.Unseen) > 0, byService)}
	if len(s.Down) > 0 || len(s.Unseen) == 0 {
		measures = append(measures, yes(relayDown, len(s.Down) > 0, byBoth))
	}
	if s.StatesSeen {
		measures = append(measures, yes(relayError, s.ErrorCode != "", byService), yes(relayAnnounced, s.Announced, byService))
	}
	if s.Source != "" {
		measures = append(measures, yes(sourcePending, s.Source == "PENDING", byService))
	}
	if !s.Last.IsZero() {
		attrs = append(attrs, slog.Time("lastRelayed", s.Last))
		measures = append(measures, telemetry.Measure{Name: relayLag, Unit: "Milliseconds", Value: float64(r.At.Sub(s.Last).Milliseconds()), By: byRelay})
	}
	if s.HoursSeen {
		measures = append(measures, telemetry.Measure{Name: relayHoursLeft, Unit: "None", Value: s.HoursLeft, By: byBoth})
	}
	log.Measured(r.At, level(len(s.Down)+len(s.Unseen) > 0 || s.ErrorCode != ""), "relay", attrs, measures)
}

// seen makes the report of what the org said, but for EventBridge's side.
func (r *Report) seen(v *relay.View, buses map[string]string) {
	r.Org, r.Delivered, r.Requests = v.OrgID, v.Delivered, v.Requests
	r.Unseen = append(r.Unseen, missed(v, "allocations")...)
	for _, one := range v.Relays {
		bus := buses[one.Kind.Parameter]
		if bus == "" {
			continue // the stack takes nothing of it
		}
		s := State{Name: one.Name, Bus: bus, Is: one.Feedback.Status, ErrorCode: one.Feedback.ErrorCode, Unseen: missed(v, "relays", "states of relays")}
		s.StatesSeen = len(s.Unseen) == 0
		s.Last, _ = one.LastRelayed()
		if s.ErrorCode == "" && s.Is == "ERROR" {
			s.ErrorCode = "ERROR"
		}
		if one.Config != nil {
			s.Wanted = one.Config.State
		}
		s.HoursLeft, s.HoursSeen = one.HoursLeft(r.At)
		if s.Is == "RUNNING" {
			s.HoursLeft, s.HoursSeen = keptHours, true
		}
		if s.StatesSeen {
			s.Down = r.stopped(one, bus)
			s.Announced = r.excuses(one)
		}
		r.Relays = append(r.Relays, s)
	}
}

// excuses reports whether the pause of a relay was announced. A relay that is stopped has lost
// its position, and nobody announces that.
func (r *Report) excuses(one *relay.One) bool {
	return r.Pause.Running(r.At) && one.Config != nil && one.Config.State == "PAUSE" && one.Feedback.Status != "STOPPED"
}

// stopped says why no event leaves the org by a relay.
func (r *Report) stopped(one *relay.One, bus string) (why []string) {
	if one.Config == nil {
		return []string{"the org has no relay " + one.Name}
	}
	if !r.excuses(one) {
		if one.Config.State != "RUN" {
			why = append(why, "wanted "+one.Config.State)
		}
		if one.Feedback.Status != "RUNNING" {
			why = append(why, "is "+one.Feedback.Status)
		}
	}
	if to := one.Feedback.RemoteResource; to != bus {
		why = append(why, fmt.Sprintf("leads to %q", to))
	}
	return why
}

// arrives adds EventBridge's side.
func (s *State) arrives(source relay.Source, err error) {
	if err != nil {
		s.Unseen = append(s.Unseen, "event source or bus: "+err.Error())
		return
	}
	s.Source = source.State
	if s.Source != "ACTIVE" {
		s.Down = append(s.Down, "source "+s.Source)
	}
	if !source.Bus {
		s.Down = append(s.Down, "no bus")
	}
}

// missed are the parts of a view that could not be asked for.
func missed(v *relay.View, parts ...string) (found []string) {
	for _, u := range v.Unseen {
		if part, _, _ := strings.Cut(u, ":"); slices.Contains(parts, part) {
			found = append(found, u)
		}
	}
	return found
}

// texts are those of the pairs of name and value that are not empty.
func texts(pairs ...string) (attrs []slog.Attr) {
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			attrs = append(attrs, slog.String(pairs[i], pairs[i+1]))
		}
	}
	return attrs
}

func list(name string, values []string) []slog.Attr {
	if len(values) == 0 {
		return nil
	}
	return []slog.Attr{slog.Any(name, values)}
}

func level(bad bool) slog.Level {
	if bad {
		return slog.LevelWarn
	}
	return slog.LevelInfo
}
