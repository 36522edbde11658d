package main

// nora works in a clinic and has two small children.
const nora = `
I work as a physiotherapist at the Southmead clinic in Bristol.
? Where do I work?
~ What do I do for a living?
My husband Goran is a pastry chef at a hotel near the harbour.
? What does Goran do at the hotel?
~ Who bakes in our family?
We have two children: Petra, who is nine, and Luka, who is five.
? How old is Luka?
~ How many kids are in my household?
My mother lives in a care home in Exeter and turns eighty in February.
? Where does my mother live?
~ When is mum's birthday?
I am allergic to penicillin.
? What am I allergic to?
~ Which medicine must never be prescribed for me?
Our landlord is called Mr Pettifer, and the rent goes up to 1,450 pounds in January.
? What is our landlord called?
~ How much will housing cost us next year?
I drive a grey Skoda Fabia from 2017.
? What do I drive?
~ Which vehicle do I own?
The Skoda failed its inspection because of the rear brakes.
Petra plays the cello and has lessons on Tuesdays at half past four.
? When are Petra's cello lessons?
~ Which instrument is my daughter learning?
Luka is scared of dogs since one knocked him over in the park.
? Why is Luka scared of dogs?
~ Which animals frighten my son?
I run ten kilometres along the river every Saturday morning.
? How far do I run on Saturdays?
~ What exercise do I get at the weekend?
I had surgery on my left knee in 2015 after a skiing accident.
? Which knee did I have surgery on?
~ What operation have I undergone?
I do not eat meat, but fish is fine with me.
? Do I eat fish?
~ Am I a vegetarian?
My favourite tea is lapsang souchong, without milk.
? What is my favourite tea?
~ Which hot drink do I like best?
I can't stand coriander; it tastes of soap to me.
? What tastes of soap to me?
~ What should be left out of my curry?
The spare key is with Mrs Okafor at number 12.
? Who has our spare key?
~ How can I get in if I am locked out?
Our boiler was serviced in October by a firm called Hallett Heating.
? Who serviced the boiler?
We are planning to spend two weeks in Slovenia next August.
? When will we be in Slovenia?
~ Where is our summer holiday going to be?
Goran's parents live in Maribor and speak no English.
? Where do Goran's parents live?
~ Which language barrier is there with my in-laws?
I am taking evening classes in Slovene on Mondays, and I am hopeless at the dual.
? On which day are my evening classes?
My best friend Deborah moved to Toronto in the spring.
? Where did Deborah move to?
~ Who emigrated to Canada?
I get a migraine whenever I sleep less than six hours.
? What gives me a migraine?
~ What triggers my headaches?
My dentist is Dr Amin on Gloucester Road.
? Who is my dentist?
~ Who looks after my teeth?
Luka lost his first tooth on the day of the school fair.
I wear contact lenses, minus three on both eyes.
? How strong are my contact lenses?
~ How poor is my vision?
My shoe size is 39, but hiking boots I need in 40.
? What is my shoe size?
I bought a second-hand sewing machine, a Bernina, for 180 pounds.
? How much was the sewing machine?
I am sewing a witch costume for Petra's school play on 4 December.
? When is Petra's school play?
Our cat Biscuit has kidney trouble and gets special food.
? What is the trouble with Biscuit?
~ What is our pet suffering from?
The vet in Redland charges 48 pounds for a check-up.
? What does the vet charge for a check-up?
I hold a savings account with the Coventry for the children's university fees.
? What is the savings account for?
~ Where do we put money aside?
I vote by post because my clinic opens before the polling station.
My boss Annette retires at Easter.
? When does Annette retire?
~ Who is about to leave our team?
I applied for the position of team leader that becomes free then.
? Which position did I apply for?
~ Which promotion am I hoping to get?
On Thursdays I work late, until eight.
? Until when do I work on Thursdays?
Goran is training for a triathlon in Swansea.
? What is Goran training for?
My brother Matthias and I have not spoken since father's funeral.
? Since when have Matthias and I not spoken?
~ Which relative am I not on good terms with?
I inherited father's stamp collection and keep it in the attic.
? Where is the stamp collection?
~ What hobby did dad have?
Our garden is tiny, but the fig tree gave eleven figs this year.
? How many figs did the fig tree give?
~ How good was the harvest?
Last week, when the tram broke down and I had to walk, I finally noticed the ukulele shop on Park Row, and I signed up for the beginners' group there, Fridays at seven.
? When is the ukulele group?
I owe Deborah sixty pounds for the theatre tickets.
? How much do I owe Deborah?
~ Which debts do I still have to settle?
The upstairs bathroom leaks where the bath meets the tiles.
? Where does the bathroom leak?
~ What needs repairing at home?
My passport runs out on 3 May 2027.
? When does my passport run out?
~ Until when can I travel abroad?
For my fortieth birthday I want a weekend in Copenhagen and no party, please.
? What do I want for my fortieth birthday?
Goran snores, so I sleep with ear plugs.
I read crime novels by Scandinavian authors before going to sleep.
? What kind of novels do I read?
~ What is my taste in literature?
My bike was stolen from outside the library in July.
? When was my bike stolen?
The insurance paid 320 pounds for the bike.
? How much did the insurance pay?
Petra needs glasses for reading but leaves them at her grandmother's.
I am afraid of flying and take the train wherever I can.
? What am I afraid of?
~ What makes me nervous when travelling?
Luka's after-school club is shut on the last Friday of each month.
? When is the after-school club shut?
I gave up smoking on New Year's Day 2012.
? When did I give up smoking?
We take turns cooking; mine are the odd days.
My grandmother taught me to make damson jam, three parts fruit to two parts sugar.
? How much sugar goes into the damson jam?
I lent the drill to Tariq from the allotment.
? Who did I lend the drill to?
Annette asked me to write the rota, which I hate, but at least that way I could keep my Wednesdays free for Luka's swimming.
? On which day does Luka go swimming?
The neighbours on the left are building an extension until spring, with noise from eight.
? What are the neighbours building?
My phone is a Fairphone 4 with a cracked corner.
? Which phone do I have?
I donate blood twice a year at the town hall.
? How often do I donate blood?
My great-aunt Lotte left me a piano that nobody here can tune for less than 200 pounds.
? Who left me the piano?
! What is my blood type?
! Which bank is our mortgage with?
! What is my cousin's name?
! Which university did I study at?
! What was my very first job?
! How do I take my coffee?
! Who cuts my hair?
! What is the licence plate number?
! Which football club do I support?
! What is my middle name?
! Which gym do I go to?
! What is my favourite colour?
! When did I graduate?
! How tall am I?
! What did I have for breakfast yesterday?
@ When is Goran's driving test?
@ What did Lotte build?
@ Where does Annette live?
@ How old is Biscuit?
@ What do I owe Tariq?
@ When is Deborah's birthday?
@ What does Luka want to be?
@ Where did Goran and I meet?
@ How long have Deborah and I been friends?
@ Which colour are Luka's shoes?
@ What is Matthias's profession?
@ When did Lotte die?
@ What did I promise Petra for her birthday?
@ What breed is Biscuit?
@ What does Annette think of my idea?
`
