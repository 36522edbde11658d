package main

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// documents are twelve texts of 2 to 50 KB that a person has stored whole: generated
// paragraphs in the words of their matter, always the same, with one sentence deep
// inside that answers a question. The rest has the words of the matter, too, and
// answers nothing. A memory counts only if that sentence is in the block.
func documents() set {
	b := bucket{name: "papers"}
	for i := range papers {
		p := &papers[i]
		id := b.add(document{Text: p.write(uint64(i))})
		b.questions = append(b.questions, question{text: p.question, evidence: []string{id}, passage: p.fact})
	}
	for line := range strings.Lines(paperStrangers) {
		if text := strings.TrimSpace(line); text != "" {
			b.questions = append(b.questions, question{text: text, stranger: true})
		}
	}
	b.finish()
	return set{name: "Documents", buckets: []bucket{b}}
}

// paper is a document to be written.
type paper struct {
	title    string
	kilobyte int
	depth    float64 // where its fact stands
	fact     string
	question string
	nouns    string // the things that it is about
}

// Sentences are made of these: what happens to the things, and under what condition.
var (
	paperVerbs = []string{
		"is handled like", "must be listed beside", "has been compared with", "takes the place of", "is kept apart from", "follows",
		"may be combined with", "depends on", "is described together with", "comes before", "was discussed along with", "differs from",
	}
	paperEnds = []string{
		"unless the other side objects in writing", "as agreed in the annex", "where that is possible at reasonable cost", "for the whole of the period",
		"in the order given above", "without any further notice", "if both copies are signed", "according to the list on the last page", "as long as nothing else is said",
		"after a careful look at the circumstances", "in normal operation", "for reasons of safety", "with the exception of public holidays", "as in earlier years",
	}
	paperStarts = []string{"", "", "As a rule, ", "In this part, ", "It was noted that ", "For the record, ", "Generally, ", "In addition, "}
)

// write writes the document: headings, paragraphs of a few sentences, and the fact
// inside of a paragraph.
func (p *paper) write(seed uint64) string {
	r := rand.New(rand.NewPCG(15, seed))
	nouns := strings.Split(p.nouns, ", ")
	one := func(from []string) string { return from[r.IntN(len(from))] }
	var b strings.Builder
	b.WriteString(p.title + "\n")
	said := false
	for section := 1; b.Len() < p.kilobyte<<10; section++ {
		fmt.Fprintf(&b, "\n%d. %s and %s\n\n", section, one(nouns), one(nouns))
		for range 2 + r.IntN(3) {
			for range 3 + r.IntN(4) {
				sentence := one(paperStarts) + "the " + one(nouns) + " " + one(paperVerbs) + " the " + one(nouns) + " " + one(paperEnds) + ". "
				b.WriteString(strings.ToUpper(sentence[:1]) + sentence[1:])
				if !said && float64(b.Len()) > p.depth*float64(p.kilobyte<<10) {
					b.WriteString(p.fact + " ")
					said = true
				}
			}
			b.WriteString("\n")
		}
	}
	return b.String()
}

var papers = []paper{
	{
		"Tenancy agreement for the flat in Birch Lane", 2, .6, "Either side may end the tenancy with a notice of ten weeks to the end of a quarter.",
		"How many weeks of notice does the tenancy agreement want?", "deposit, staircase, cellar, tenant, landlord, heating bill, repair, letter box, handover, meter reading",
	},
	{
		"Statutes of the rowing club", 4, .7, "New members pay a joining fee of 75 euros, which is not returned.",
		"What is the joining fee of the rowing club?", "boat house, committee, assembly, training, regatta, member, cashier, oar, jetty, chair, vote, minutes",
	},
	{
		"Manual of the heat pump", 8, .5, "If the display shows E47, the outdoor sensor has lost contact.",
		"What does E47 on the heat pump's display mean?", "compressor, buffer tank, flow temperature, installer, display, valve, pressure, service, filter, menu, outdoor unit, circuit",
	},
	{
		"Minutes of the parents' council", 6, .8, "It was decided that the summer fair takes place on the 4th of July in the courtyard.",
		"When does the summer fair take place?", "canteen, class trip, budget, head teacher, playground, parents' evening, library, bus, committee, newsletter, sports day, proposal",
	},
	{
		"Itinerary of the trip through Georgia and Armenia", 10, .4, "The driver, Zurab, meets us at the hotel in Kutaisi at 7:40.",
		"When does Zurab meet us in Kutaisi?", "monastery, border, guide, luggage, valley, cable car, museum, dinner, passport, market, fortress, minibus",
	},
	{
		"Household insurance, conditions", 50, .7, "Bicycles are covered up to 1,800 euros each if they were locked.",
		"Up to what sum are bicycles covered by the household insurance?", "premium, damage, policyholder, burglary, water pipe, storm, claim, appraiser, valuables, inventory, exclusion, deductible, lightning",
	},
	{
		"Employee handbook of the bakery", 30, .85, "Overtime of more than twenty hours is paid out in March.",
		"When is overtime paid out according to the handbook?", "shift, oven, apron, break, hygiene, supervisor, holiday, absence, locker, delivery, cash desk, training, clothing",
	},
	{
		"Survey report on the house by the canal", 20, .65, "The moisture in the north wall of the pantry was measured at 23 percent.",
		"How much moisture was measured in the pantry wall?", "joist, gutter, chimney, plaster, foundation, roof tile, window frame, damp course, attic, crack, surveyor, timber, drain",
	},
	{
		"Programme of the conference on river ecology", 12, .9, "The keynote on eels is given by Professor Lindqvist in the Blue Hall.",
		"Who gives the keynote on eels?", "session, poster, registration, panel, lunch, workshop, abstract, chair, excursion, proceedings, award, stream, sediment",
	},
	{
		"Operating procedure of the print shop", 40, .35, "The large press is cleaned with isopropanol every 600 sheets.",
		"After how many sheets is the large press cleaned?", "plate, roller, ink, paper, cutter, proof, order form, pallet, operator, colour, shift, stapler, warehouse",
	},
	{
		"Retrospective of the move to the new billing system", 16, .55, "The invoices of 12 February went out twice because a retry had no limit.",
		"Why did the invoices of 12 February go out twice?", "ledger, customer, migration, dunning, release, test run, tax rate, dashboard, import, rollback, ticket, on-call, schema",
	},
	{
		"Notes from the family archive", 25, .75, "Great-grandfather Emil learned the trade of an organ builder in Ludwigsburg.",
		"Which trade did great-grandfather Emil learn?", "letter, photograph, parish register, emigration, farm, cousin, wedding, regiment, inheritance, village, diary, grandmother, tombstone",
	},
}

const paperStrangers = `
What is the interest rate of the car loan?
Which dentist is on duty at Christmas?
How many goals did Petersen score?
What is the wifi name in the holiday cottage?
Which vaccine did the puppy get?
Who painted the portrait in the lobby?
When does the ferry to Gotland sail?
How hot must the kiln be?
Which string broke on the guitar?
What did the astronaut eat?
`
