package main

// samir tests software, shares a flat and plays in a band.
const samir = `
I'm a software tester at a company that makes parking machines, in Rotterdam.
? Where do I work as a tester?
I share a flat in Delfshaven with Jeroen and a Brazilian called Caio.
? Who do I share the flat with?
My half of the rent is 640 euros, always due on the 27th.
? When is my rent due?
My girlfriend Yasmin studies marine biology in Groningen.
? What does Yasmin study?
Yasmin's birthday is the 9th of November, and she hates surprises.
? When is Yasmin's birthday?
I play bass in a band called Soft Brakes.
? What do I play in the band?
We rehearse on Sunday afternoons in a cellar behind the brewery.
? Where do we rehearse?
Our drummer Wouter broke his wrist, so the gig on 14 March is off.
? Why is the gig on 14 March off?
My bass is a 1978 Ibanez that I found at a flea market in Ghent.
? Where did I find my bass?
I have coeliac disease, so no bread, pasta or beer from wheat.
? Which disease do I have?
My GP is Dr van Houten, and her surgery is shut on Wednesdays.
? On which day is the surgery shut?
I take 50 micrograms of levothyroxine first thing in the morning.
? How much levothyroxine do I take?
My laptop runs Fedora with a tiling window manager.
? Which Linux runs on my laptop?
At work I have to use Windows, which I moan about.
I prefer tabs to spaces, and Jeroen still talks to me.
? Do I prefer tabs or spaces?
My side project is a bot that reads the tram timetable aloud for my grandfather.
? What is my side project?
The bot runs on a Raspberry Pi in the meter cupboard.
? What does the bot run on?
My grandfather is blind in one eye and hears badly on the phone.
My parents came from Fez in 1986 and run a dry cleaner's in Schiedam.
? When did my parents come from Fez?
My mother makes harira every Friday, and I'm expected at the table at six.
? What does my mother make on Fridays?
My younger sister Salma is doing her driving test on Monday for the third time.
? When is Salma's driving test?
I failed my own driving test twice and gave up, so I cycle.
? How often did I fail the driving test?
My bicycle is a green Gazelle with a coaster brake.
? What bicycle do I have?
I paid 35 euros for the lock, and it's already rusty.
? How much was the lock?
I support Sparta, which takes patience.
? Which club do I support?
Caio cooks feijoada on the first Saturday of the month, and the whole staircase smells of it.
? When does Caio cook feijoada?
The washing machine belongs to Jeroen and eats socks.
? Who does the washing machine belong to?
I'm saving for a trip to Patagonia in January 2028.
? What am I saving for?
So far there are 2,300 euros in the travel pot.
? How much is in the travel pot?
I speak Dutch, Darija, English and school French, and I can order beer in Portuguese.
? Which languages do I speak?
I get seasick, which Yasmin finds hilarious given her subject.
On the way back from the dentist, who was two hours late by the way, I bumped into my old teacher Mevrouw de Wit, and she told me that she paints now.
? What does Mevrouw de Wit do now?
My wisdom teeth come out on 22 April, all four of them.
? When do my wisdom teeth come out?
My health insurance is with Zilveren Kruis, with an excess of 885 euros.
? How high is the excess of my health insurance?
I wear size 44 in shoes and M in T-shirts.
? Which size are my shoes?
My alarm goes off at ten to seven, and I snooze twice.
? When does my alarm go off?
I work from home on Tuesdays and Fridays.
? On which days do I work from home?
My team lead Ingrid wants the test plan by the end of the sprint, on the 18th.
? Who wants the test plan?
We moved from Jenkins to Buildkite last summer.
? What did we move to from Jenkins?
I'm responsible for the card readers, not for the coin slots.
? What am I responsible for?
The staging server for the parking machines restarts at two every night.
? When does the staging server restart?
Ingrid promised me a raise of four percent if the certification goes through.
? How much of a raise did Ingrid promise?
I broke my collarbone when I was eleven, falling out of a plum tree.
? How did I break my collarbone?
I do a bit of bouldering with Caio, mostly the yellow routes.
? Who do I go bouldering with?
My favourite film is Spirited Away; I have seen it nine times.
? What is my favourite film?
I can't watch horror, not even the trailers.
I'm reading The Dispossessed, but only on the metro.
? What am I reading?
My houseplant is a monstera called Gerrit, and it gets water every ten days.
? How often does the monstera get water?
I lost my grey scarf in the Pathé cinema.
? Where did I lose my scarf?
I'm a godfather to Jeroen's nephew Bram, who was born in May.
? Whose godfather am I?
For Bram I opened an account and put in ten euros a month.
Our neighbour below, Mevrouw Smit, complains whenever we walk with shoes on, although the carpet cost us a fortune.
? Who complains when we walk with shoes on?
My phone contract with Simyo ends in September and costs 14 euros.
? When does my phone contract end?
I voted for the first time in 2017 and got a free coffee afterwards.
I have a tattoo of a tardigrade on my left shoulder.
? What is my tattoo?
Yasmin and I met at a silent disco, of all places, in the summer that the trains were on strike.
? Where did Yasmin and I meet?
We want to move in together when she has her degree, in about a year and a half.
My oldest friend Hamza emigrated to Melbourne and sends voice messages of eleven minutes.
? Where did Hamza emigrate to?
I owe Wouter a crate of gluten-free beer because I lost a bet about the weather.
? What do I owe Wouter?
I'm always cold and sit next to the radiator at work.
! What is my passport number?
! What is the name of my cat?
! Which school did my brother go to?
! Where did I spend my honeymoon?
! What does my uncle do?
! How much do I weigh?
! What is my star sign?
! Which perfume do I use?
! Which mortgage rate did we fix?
! Who is my lawyer?
! What did the plumber say about the boiler?
! When is my swimming lesson?
! Which vaccination do I still need?
! What kind of cheese do I dislike?
! Where is my wedding ring?
@ How old is Jeroen?
@ What is Caio training for?
@ When does Ingrid retire?
@ Where do Yasmin's parents live?
@ Why is Bram scared of dogs?
@ What does Salma want to be?
@ What did Hamza build?
@ When is Hamza's birthday?
@ What does Wouter study?
@ Which instrument does Yasmin play?
@ What do I owe Caio?
@ Where does Ingrid live?
@ Which colour is Wouter's hair?
@ What is Jeroen's profession?
@ How much did Bram weigh at birth?
`
