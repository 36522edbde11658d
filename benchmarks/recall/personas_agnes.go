package main

// agnes is a retired teacher by the sea.
const agnes = `
I taught chemistry at the high school in Lunenburg for thirty-four years.
? What did I teach?
I retired in June 2019, and they gave me a telescope.
? What did they give me when I retired?
My late husband Walter was a boat builder.
? What did Walter build?
Walter died in November 2021, after a short illness.
? When did Walter die?
I have three sons: Colin in Halifax, Dermot in Calgary and Ewan in Galway.
? Which of my sons is in Calgary?
Colin and his wife Priya are expecting twins in the spring.
? Who is expecting twins?
My granddaughter Maeve is fourteen and wants to be a pilot.
? What does Maeve want to be?
I live in the red house at the end of Kaulbach Street, with a view of the harbour.
? Which street do I live in?
The roof was shingled anew in 2023 by the Zwicker brothers, for 11,800 dollars.
? Who shingled the roof?
I heat with a wood stove and keep four cords in the shed.
? How many cords of wood do I keep?
My doctor, Dr Kaur, put me on metoprolol for my blood pressure, 25 milligrams twice a day.
? What did Dr Kaur put me on?
I had my right hip replaced in 2022 and my left one is next.
? Which hip was replaced?
I hear badly on the left side, so sit on my right, dear.
I sing alto in the church choir.
? What do I sing in the choir?
Choir practice is on Wednesday evenings at St John's.
? When is choir practice?
We are rehearsing Fauré's Requiem for the concert on Palm Sunday.
? What are we rehearsing for the concert?
I keep six hens, and the brown one, Mrs Danvers, is the boss.
? How many hens do I keep?
My dog Fergus is an old setter who sleeps all day.
? What kind of dog is Fergus?
Fergus gets his joint pills hidden in liverwurst.
? What are the pills of Fergus hidden in?
I swim in the sea from May to October, whatever the weather.
? From when on do I swim in the sea?
I drive a blue Subaru, and only by daylight since the cataract.
? What do I drive?
The eye clinic wants to see me again on 17 September.
? When does the eye clinic want to see me?
My bridge club meets on the second Monday at Theodora's.
? When does the bridge club meet?
Theodora and I have been friends since normal school in Truro.
? How long have Theodora and I been friends?
I can't abide raisins in anything.
? What can't I abide?
My lobster chowder has a splash of sherry, and that is all the secret there is.
? What does the lobster chowder have a splash of?
I bake brown bread on Saturdays, two loaves, one for Theodora.
? On which day do I bake bread?
I am writing down the history of the boatyard for the museum, and the manuscript is due by the end of August.
? When is the manuscript due?
So far I have got to 1938 and the fire.
? What year have I got to in the history?
The museum's curator is a young man called Anselm Oickle.
? Who is the museum's curator?
When the power was out for three days and we all sat at the Corkums' with candles, I learned that their boy Tyler repairs radios, so I took him Walter's old Grundig.
? Who repairs radios?
My mother was born in Lübeck and came over on a freighter in 1951.
? Where was my mother born?
I speak some German still, mostly about food and weather.
? Which language do I still speak some of?
My older sister Beatrice lives in a nunnery near Antigonish.
? Where does Beatrice live?
I telephone Ewan every Sunday at noon, which is four o'clock over there.
? When do I telephone Ewan?
I fly to Galway on the 6th of July for three weeks.
? When do I fly to Galway?
The chickens and the dog will go to Theodora's grandson Russell while I am away.
? Who takes the chickens while I am away?
I pay Russell forty dollars a week for the garden.
? What do I pay Russell for the garden?
My will is with the notary Fitch on Lincoln Street.
? Where is my will?
I want my ashes scattered off Blue Rocks, where Walter's are.
? Where do I want my ashes scattered?
My pension comes on the 28th of the month.
? When does my pension come?
I am on the board of the library, as treasurer, until the election next March.
? What do I do on the board of the library?
The library's new children's corner opens on the first Saturday in June.
? When does the children's corner open?
I knit socks for all my grandchildren, and Maeve's are always green.
? Which colour are Maeve's socks?
I have a scar on my chin from the schoolyard swing.
? Where is my scar?
My favourite poem is The Fish by Elizabeth Bishop.
? What is my favourite poem?
I gave up the piano when the arthritis came.
? When did I give up the piano?
I read with a large-print tablet that Dermot set up, and I have no idea how to turn the page back.
? Who set up the tablet?
Dermot works on oil rigs and is home every third week.
? Where does Dermot work?
Dermot's marriage ended last year, but we don't talk about it at table.
The bank closed its branch here, so I do the money at the credit union on Fridays.
? On which day do I go to the credit union?
I lost my wedding band in the surf and had a new one made from Walter's.
? Where did I lose my wedding band?
My well was tested in April, and the arsenic was just below the limit.
? When was the well tested?
I am allergic to wasp stings and carry a pen.
? Which stings am I allergic to?
My Christmas cake is started in October and fed rum once a week.
? What is the Christmas cake fed?
I take a nap from two to three and don't answer the door.
? When do I take a nap?
I promised Maeve the telescope for her sixteenth birthday.
? What did I promise Maeve for her birthday?
I play chess by letter with a retired captain in Tromsø.
? Who do I play chess with?
In the last game I lost a rook on move nineteen through pure vanity.
The upstairs windows still need to be painted before the winter, but the ladder scares me now, so I'd better ask the Zwickers.
? What needs to be painted before the winter?
! What is my phone number?
! Which brand of toothpaste do I buy?
! How fast is our internet connection?
! Where did I go skiing?
! What is my husband's favourite dessert?
! Which airline refunded me?
! What size is my mattress?
! Who is my accountant?
! Which newspaper do I subscribe to?
! How did my job interview go?
! What is my landlord called?
! Which instrument does my nephew play?
! What was the name of my kindergarten?
! Which vitamins do I take?
! What grade did I get in mathematics?
@ How old is Russell?
@ What is Theodora training for?
@ When is Priya's birthday?
@ What is Colin's profession?
@ Where did Walter and I meet?
@ Why is Fergus scared of the vacuum cleaner?
@ What does Anselm study?
@ When does Dermot retire?
@ What do I owe Theodora?
@ Which school does Tyler go to?
@ Which instrument does Maeve play?
@ How old is Fergus?
@ How many children does Beatrice have?
@ What is Ewan's wife called?
@ Which boat did Colin buy?
`
