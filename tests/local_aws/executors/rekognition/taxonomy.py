"""Labels as Rekognition gives them: a name, what it is a kind of, other names, a category.

A small taxonomy made by hand for what the local models know. Each line is a label, below what it
is a kind of; `= A, B` are other names, `+ A` is a further ancestor, `| C` is the category, which
counts for what is below, too.
https://docs.aws.amazon.com/rekognition/latest/dg/labels.html
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_TREE = """
Person = Human | Person Description
Pet | Animals and Pets
Animal | Animals and Pets
  Mammal
    Dog = Canine, Puppy + Pet
    Cat = Kitten + Pet
    Rabbit + Pet
    Rodent
    Horse
    Sheep
    Cattle = Cow
    Pig
    Elephant
    Bear
    Zebra
    Giraffe
    Monkey
    Wildlife
  Bird
  Fish
  Reptile
    Snake
    Lizard
    Turtle
  Amphibian
  Invertebrate
    Insect
    Spider
    Crustacean
Vehicle | Vehicles and Automotive
  Bicycle = Bike
  Motorcycle
  Car = Automobile
  Bus
  Truck
  Train
  Aircraft
    Airplane = Plane
  Watercraft
    Boat
    Ship
Traffic Light | Transport and Logistics
Fire Hydrant | Public Safety
Sign | Symbols and Flags
  Stop Sign
Parking Meter | Transport and Logistics
Weapon | Weapons and Military
  Rocket
  Gun
Food | Food and Beverage
  Fruit
    Banana
    Apple
    Orange
    Lemon
    Strawberry
    Pineapple
  Vegetable
    Broccoli
    Carrot
  Bread
  Sandwich
  Hot Dog
  Pizza
  Dessert
    Donut
    Cake
Beverage = Drink | Food and Beverage
  Coffee
    Espresso
Cup | Kitchen and Dining
  Coffee Cup
Glass | Kitchen and Dining
  Wine Glass
Bottle | Kitchen and Dining
Bowl | Kitchen and Dining
Cutlery | Kitchen and Dining
  Fork
  Knife
  Spoon
Cookware | Kitchen and Dining
Furniture | Furniture and Furnishings
  Bench
  Chair
  Couch = Sofa
  Bed
  Table
    Dining Table
Toilet | Home and Indoors
Sink | Home and Indoors
Potted Plant | Plants and Flowers
Electronics | Technology and Computing
  Television = TV
  Computer
    Laptop
  Mouse
  Remote Control
  Computer Keyboard
  Cell Phone = Mobile Phone, Phone
  Camera
Appliance | Home Appliances
  Microwave
  Oven
  Toaster
  Refrigerator
Book | Text and Documents
Clock | Everyday Objects
Vase | Everyday Objects
Scissors | Tools and Machinery
Tool | Tools and Machinery
Teddy Bear | Toys and Gaming
Hair Drier | Home Appliances
Toothbrush | Beauty and Personal Care
Clothing = Apparel | Apparel and Accessories
  Hat
  Footwear = Shoe
  Tie
  Helmet
Bag | Apparel and Accessories
  Backpack
  Handbag
  Suitcase
Umbrella | Everyday Objects
Sports Equipment | Sports
  Ball
    Sports Ball
    Soccer Ball
    Basketball
  Frisbee
  Skis
  Snowboard
  Kite
  Baseball Bat
  Baseball Glove
  Skateboard
  Surfboard
  Tennis Racket
Musical Instrument | Performing Arts
  Guitar
  Piano
  Drum
Building = Architecture | Buildings and Architecture
  House of Worship
    Church
    Mosque
  Castle
  Palace
  Tower
  Bridge
  Shop
Nature = Outdoors | Nature and Outdoors
  Mountain
  Water
    Beach
    Lake
    Geyser
  Valley
Plant | Plants and Flowers
  Flower
    Daisy
  Fungus = Mushroom
"""

# COCO's numbers have gaps, as its first release had more classes.
_COCO = """1 Person;2 Bicycle;3 Car;4 Motorcycle;5 Airplane;6 Bus;7 Train;8 Truck;9 Boat;
10 Traffic Light;11 Fire Hydrant;13 Stop Sign;14 Parking Meter;15 Bench;16 Bird;17 Cat;18 Dog;
19 Horse;20 Sheep;21 Cattle;22 Elephant;23 Bear;24 Zebra;25 Giraffe;27 Backpack;28 Umbrella;
31 Handbag;32 Tie;33 Suitcase;34 Frisbee;35 Skis;36 Snowboard;37 Sports Ball;38 Kite;
39 Baseball Bat;40 Baseball Glove;41 Skateboard;42 Surfboard;43 Tennis Racket;44 Bottle;
46 Wine Glass;47 Cup;48 Fork;49 Knife;50 Spoon;51 Bowl;52 Banana;53 Apple;54 Sandwich;55 Orange;
56 Broccoli;57 Carrot;58 Hot Dog;59 Pizza;60 Donut;61 Cake;62 Chair;63 Couch;64 Potted Plant;
65 Bed;67 Dining Table;70 Toilet;72 Television;73 Laptop;74 Mouse;75 Remote Control;
76 Computer Keyboard;77 Cell Phone;78 Microwave;79 Oven;80 Toaster;81 Sink;82 Refrigerator;84 Book;
85 Clock;86 Vase;87 Scissors;88 Teddy Bear;89 Hair Drier;90 Toothbrush"""

# ImageNet has its animals in the order of WordNet, so ranges of numbers say what they are.
_IMAGENET_RANGES = """0-6 Fish;7-24 Bird;25-32 Amphibian;33-37 Turtle;38-48 Lizard;49-51 Reptile;
52-68 Snake;69 Invertebrate;70-79 Spider;80-100 Bird;101 Elephant;102-106 Wildlife;
107-117 Invertebrate;118-126 Crustacean;127-146 Bird;147-150 Wildlife;151-268 Dog;269-280 Wildlife;
281-285 Cat;286-293 Wildlife;294-297 Bear;298-299 Wildlife;300-326 Insect;327-329 Invertebrate;
330-332 Rabbit;
333-338 Rodent;339 Horse;340 Zebra;341-343 Pig;344 Wildlife;345-347 Cattle;348-349 Sheep;
350-364 Wildlife;365-384 Monkey;385-386 Elephant;387-388 Bear;389-397 Fish"""

# The rest of ImageNet is things and scenes, by name; what is missing here stands by itself.
_IMAGENET_NAMES = """
Aircraft: airliner, airship, warplane, balloon
Ship: aircraft carrier, container ship, liner, pirate, wreck, submarine
Boat: canoe, catamaran, fireboat, gondola, lifeboat, schooner, speedboat, trimaran, yawl
Car: ambulance, beach wagon, cab, convertible, jeep, limousine, minivan, Model T, racer, sports
  car, go-kart, golfcart
Truck: fire engine, garbage truck, moving van, pickup, police van, tow truck, trailer truck
Bus: minibus, school bus, trolleybus
Train: bullet train, electric locomotive, freight car, passenger car, steam locomotive, streetcar
Motorcycle: moped, motor scooter
Bicycle: bicycle-built-for-two, mountain bike, tricycle, unicycle
Vehicle: amphibian, forklift, half track, harvester, horse cart, mobile home, oxcart, recreational
  vehicle, snowmobile, snowplow, tank, thresher, tractor, car wheel, disk brake
Rocket: missile, projectile, space shuttle
Gun: assault rifle, cannon, revolver, rifle
Espresso: espresso
Coffee Cup: coffee mug
Cup: cup, goblet, beer glass
Beverage: red wine, eggnog
Lemon: lemon
Orange: orange
Apple: Granny Smith
Banana: banana
Strawberry: strawberry
Pineapple: pineapple
Fruit: fig, jackfruit, custard apple, pomegranate
Broccoli: broccoli
Vegetable: head cabbage, cauliflower, zucchini, spaghetti squash, acorn squash, butternut squash,
  cucumber, artichoke, bell pepper, cardoon, corn
Bread: French loaf, bagel, pretzel, dough
Pizza: pizza
Hot Dog: hotdog
Dessert: trifle, ice cream, ice lolly, chocolate sauce
Food: guacamole, consomme, hot pot, cheeseburger, mashed potato, carbonara, meat loaf, potpie,
  burrito
Cookware: Crock Pot, Dutch oven, caldron, frying pan, wok, teapot, coffeepot
Bottle: beer bottle, pop bottle, water bottle, wine bottle, pill bottle, whiskey jug, water jug
Bowl: mixing bowl, soup bowl
Chair: barber chair, folding chair, rocking chair, throne
Bed: four-poster, crib, cradle, bassinet
Couch: studio couch
Bench: park bench
Dining Table: dining table
Furniture: bookcase, chest, chiffonier, china cabinet, desk, entertainment center, file, medicine
  chest, table lamp, wardrobe
Laptop: laptop, notebook
Computer: desktop computer, hand-held computer
Computer Keyboard: computer keyboard, space bar, typewriter keyboard
Mouse: mouse
Television: television, home theater
Cell Phone: cellular telephone
Camera: Polaroid camera, reflex camera
Remote Control: remote control
Electronics: cassette player, CD player, dial telephone, hard disc, iPod, joystick, loudspeaker,
  modem, monitor, oscilloscope, pay-phone, photocopier, printer, projector, radio, screen, tape
  player, web site
Microwave: microwave
Refrigerator: refrigerator
Toaster: toaster
Appliance: dishwasher, electric fan, espresso maker, iron, rotisserie, space heater, stove,
  vacuum, waffle iron, washer
Clock: analog clock, digital clock, digital watch, hourglass, stopwatch, sundial, wall clock
Vase: vase
Umbrella: umbrella
Backpack: backpack
Bag: mailbag, plastic bag, purse, wallet
Hat: bearskin, bonnet, cowboy hat, sombrero, mortarboard, shower cap, bathing cap
Helmet: crash helmet, football helmet, pickelhaube
Footwear: clog, cowboy boot, Loafer, running shoe, sandal, sock
Tie: bolo tie, bow tie, Windsor tie
Clothing: abaya, academic gown, apron, bikini, brassiere, cardigan, cloak, fur coat, gown,
  hoopskirt, jean, jersey, kimono, lab coat, maillot, military uniform, miniskirt, mitten,
  overskirt, pajama, poncho, sarong, stole, suit, sweatshirt, swimming trunks, trench coat,
  vestment
Soccer Ball: soccer ball
Basketball: basketball
Ball: baseball, croquet ball, golf ball, ping-pong ball, rugby ball, tennis ball, volleyball
Tennis Racket: racket
Skis: ski
Sports Equipment: balance beam, barbell, bobsled, dumbbell, horizontal bar, parallel bars, puck,
  punching bag
Guitar: acoustic guitar, electric guitar
Piano: grand piano, upright
Drum: drum, steel drum
Musical Instrument: accordion, banjo, bassoon, cello, cornet, flute, French horn, gong, harmonica,
  harp, maraca, marimba, oboe, ocarina, organ, panpipe, sax, trombone, violin
Tool: can opener, carpenter's kit, chain saw, cleaver, corkscrew, hammer, hatchet, lawn mower,
  letter opener, nail, plane, plow, plunger, power drill, screw, screwdriver, shovel
Church: church, bell cote
Mosque: mosque
House of Worship: altar, monastery, stupa
Castle: castle
Palace: palace
Tower: beacon, water tower, obelisk
Bridge: steel arch bridge, suspension bridge, viaduct
Shop: bakery, barbershop, bookshop, butcher shop, confectionery, grocery store, shoe shop, tobacco
  shop, toyshop
Building: apiary, barn, boathouse, cinema, cliff dwelling, dome, greenhouse, library, lumbermill,
  mobile home, planetarium, prison, restaurant, triumphal arch, vault, yurt, thatch, tile roof
Mountain: alp, volcano, cliff
Beach: seashore, sandbar
Lake: lakeside
Geyser: geyser
Valley: valley
Nature: coral reef, promontory
Daisy: daisy
Flower: rapeseed, yellow lady's slipper
Fungus: agaric, bolete, coral fungus, earthstar, gyromitra, hen-of-the-woods, mushroom, stinkhorn
Plant: acorn, buckeye, hay, hip, ear
Sign: street sign
Traffic Light: traffic light
Parking Meter: parking meter
Book: comic book, book jacket
Teddy Bear: teddy
Person: ballplayer, groom, scuba diver
"""

_LINE = re.compile(
    r"(?P<indent> *)(?P<name>[^=+|]+?)(?: = (?P<aliases>[^+|]+?))?"
    r"(?: \+ (?P<further>[^|]+?))?(?: \| (?P<category>.+))?"
)


@dataclass(frozen=True)
class Label:
    """A label without a confidence."""

    name: str
    ancestors: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    category: str = ""


def _read_tree() -> dict[str, Label]:
    labels: dict[str, Label] = {}
    above: list[Label] = []
    for line in _TREE.strip().splitlines():
        found = _LINE.fullmatch(line).groupdict()
        del above[len(found["indent"]) // 2 :]
        ancestors = [label.name for label in above]
        ancestors += [found["further"]] if found["further"] else []
        label = Label(
            found["name"],
            tuple(sorted(ancestors)),
            tuple(found["aliases"].split(", ")) if found["aliases"] else (),
            found["category"] or (above[0].category if above else ""),
        )
        labels[label.name] = label
        above.append(label)
    return labels


def _read_coco() -> dict[int, str]:
    pairs = (entry.strip().split(" ", 1) for entry in _COCO.split(";"))
    return {int(number): name for number, name in pairs}


def _read_ranges() -> dict[int, str]:
    places: dict[int, str] = {}
    for entry in _IMAGENET_RANGES.split(";"):
        numbers, name = entry.strip().split(" ", 1)
        first, _, last = numbers.partition("-")
        places |= dict.fromkeys(range(int(first), int(last or first) + 1), name)
    return places


def _read_names() -> dict[str, str]:
    lines = (
        line.split(": ", 1) for line in _IMAGENET_NAMES.strip().replace("\n  ", " ").splitlines()
    )
    return {name: label for label, names in lines for name in names.split(", ")}


LABELS = _read_tree()
OF_COCO = _read_coco()
_RANGES, _NAMES = _read_ranges(), _read_names()
_FIRST_THING = 398


def of_imagenet(number: int, name: str) -> Label:
    """The label of one of ImageNet's classes: one of LABELS, or a kind of one, or by itself."""
    label = _RANGES.get(number) if number < _FIRST_THING else _NAMES.get(name)
    title = re.sub(r"(^|[ -])([a-z])", lambda found: found[0].upper(), name)
    if title in LABELS:
        return LABELS[title]
    if label is None:
        return Label(title, category="Everyday Objects")
    above = LABELS[label]
    ancestors = tuple(sorted({*above.ancestors, label}))
    return Label(title, ancestors, category=above.category)
