package main

import (
	"fmt"
	"strings"
	"time"
)

// echo is a person who asks an assistant without memory what it was told once. What
// the person asked before is the same as the question, word for word, and says
// nothing; so does the assistant's reply. Each fact is told in a session of its own,
// and asked for in two later ones. Facts and questions were written by hand.
func echo() set {
	b := bucket{name: "asks-again"}
	first := time.Date(2025, 9, 1, 18, 0, 0, 0, time.UTC)
	session := 0
	talk := func(user, assistant string) (id string) {
		session++
		name, day := fmt.Sprintf("session-%d", session), first.AddDate(0, 0, session)
		id = b.add(document{Text: user, Role: "user", Session: name, Date: day})
		b.add(document{Text: assistant, Role: "assistant", Session: name, Date: day})
		return id
	}
	var lines [][]string
	for line := range strings.Lines(echoes) {
		if parts := strings.Split(strings.TrimSpace(line), " | "); len(parts) == 3 {
			lines = append(lines, parts)
		}
	}
	facts := map[string]string{}
	for _, l := range lines {
		facts[l[0]] = talk(l[0], "Thank you for telling me! Is there anything that I can do for you today?")
	}
	for i, l := range lines {
		talk(l[1], "I am sorry, I do not know "+l[2]+". If you tell me, I can help you further.")
		talk(l[1], "You have not mentioned "+l[2]+" in this conversation. Could you tell me "+l[2]+"?")
		if i%3 == 2 {
			talk("Hm. Again: "+l[1], "Unfortunately I have no information about "+l[2]+".")
		}
		b.questions = append(b.questions, question{text: l[1], evidence: []string{facts[l[0]]}})
	}
	for line := range strings.Lines(echoStrangers) {
		if text := strings.TrimSpace(line); text != "" {
			b.questions = append(b.questions, question{text: text, stranger: true})
		}
	}
	b.finish()
	return set{name: "Echo", buckets: []bucket{b}}
}

// echoes are facts, the question about each, and what the assistant does not know.
const echoes = `
My cat is called Momo. | What is the name of my cat? | the name of your cat
I parked on level 3 of the hospital garage. | On which level did I park? | where you parked
The code of the bicycle cellar is 7714. | What is the code of the bicycle cellar? | the code of the bicycle cellar
Our wedding day is the 21st of August. | When is our wedding day? | the day of your wedding
My hotel in Turin is the Albergo Fiorentina. | Which hotel do I have in Turin? | your hotel in Turin
I weigh my coffee: 18 grams for a double. | How many grams of coffee do I take for a double? | how many grams of coffee you take
My project is due on the second Monday in November. | When is my project due? | when your project is due
My son's class teacher is Mrs Abara. | Who is my son's class teacher? | the class teacher of your son
The plumber comes on Thursday between nine and eleven. | When does the plumber come? | when the plumber comes
My seat on the train is 64 in coach 12. | What is my seat on the train? | your seat on the train
I lent the tent to Florian. | Who did I lend the tent to? | who has the tent
We named our boat Kittiwake. | What did we name our boat? | the name of your boat
My exam in statistics is in room B 204. | In which room is my exam in statistics? | the room of your exam
The dosage of the dog's drops is four in the morning. | What is the dosage of the dog's drops? | the dosage of the drops
My favourite ice cream is pistachio. | What is my favourite ice cream? | your favourite ice cream
My violin was made in Mittenwald. | Where was my violin made? | where your violin was made
I answer to Ines at the registry, not to Karl. | Who do I answer to at the registry? | who you answer to at the registry
The key for the ski box hangs behind the freezer. | Where does the key for the ski box hang? | where the key hangs
My marathon time in Hamburg was 4 hours 12. | What was my marathon time in Hamburg? | your time in Hamburg
We chose the tiles called Sea Glass. | Which tiles did we choose? | which tiles you chose
Grandma's recipe needs five egg yolks. | How many egg yolks does grandma's recipe need? | how many yolks the recipe needs
My flight to Oslo leaves at 6:55. | When does my flight to Oslo leave? | when your flight leaves
I promised Ada a kite. | What did I promise Ada? | what you promised Ada
The loan from my brother is 3,000 francs. | How much is the loan from my brother? | the sum of the loan
`

const echoStrangers = `
Which mattress did we buy?
How do I spell my surname?
What did the surgeon recommend?
Who won the chess tournament?
What is the colour of the new carpet?
Which tax class am I in?
Where does my cousin study?
When was the chimney swept?
`
