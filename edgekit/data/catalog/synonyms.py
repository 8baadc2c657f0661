"""Further words that people write for what the tables of captions name: a row each of language, English word, words."""

from __future__ import annotations

__all__ = ["SYNONYMS"]

_ROWS = """
en|grey|gray, silver
en|blue|navy, navy blue
en|light blue|sky blue, baby blue
en|teal|turquoise, petrol
en|purple|violet, lilac
en|beige|cream, sand
en|plain|solid, solid colour, solid color
en|striped|stripes, stripe
en|dotted|polka dot, polka dots, spotted
en|checked|checkered, chequered, gingham
en|plaid|tartan
en|wavy|waves
en|diamond|argyle
en|gridded|grid
en|ringed|rings
en|two-tone|two tone, bicolour, bicolor
en|camouflage|camo
en|wool|woollen, woolen, knitted
en|wood|wooden
en|metal|steel, metallic
en|ceramic|porcelain
en|t-shirt|tee, tshirt
en|hoodie|hooded sweatshirt, sweatshirt
en|trousers|pants
en|sneaker|trainer, running shoe
en|high heel|pump, stiletto
en|tote bag|shopper, tote
en|backpack|rucksack
en|handbag|purse
en|beanie|knit cap, woolly hat
en|sun hat|straw hat
en|mug|cup
en|pan|frying pan, skillet
en|cushion|pillow
en|plant pot|flower pot, flowerpot
en|cabinet|cupboard
en|watch|wristwatch, wrist watch
en|headphones|headset
en|teddy bear|teddy
de|purple|violett
de|light blue|himmelblau
de|teal|türkis
de|plain|uni
de|striped|mit Streifen
de|checked|mit Karo
de|plaid|mit Schottenmuster
de|dotted|mit Punkten
de|wavy|mit Wellen
de|two-tone|bicolor
de|camouflage|Camouflage
de|plastic|Plastik
de|denim|Jeans
de|wood|hölzern
de|leather|ledern
de|hoodie|Hoodie
de|sneaker|Sneaker
de|high heel|Stöckelschuh
de|tote bag|Stoffbeutel
de|cap|Kappe, Cap
de|beanie|Mütze
de|sun hat|Hut, Strohhut
de|mug|Tasse, Kaffeebecher
de|bowl|Schüssel
de|clock|Wanduhr
de|t-shirt|Shirt
de|teddy bear|Teddy
de|umbrella|Schirm
de|camera|Fotoapparat
fr|purple|violette, mauve
fr|white|blanche
fr|teal|turquoise
fr|brown|brun
fr|striped|rayé
fr|dotted|à petits pois
fr|checked|à damier
fr|plaid|tartan
fr|wavy|ondulé
fr|two-tone|deux tons
fr|denim|denim
fr|hoodie|sweatshirt à capuche
fr|sneaker|tennis
fr|high heel|chaussure à talon
fr|tote bag|tote bag
fr|sun hat|chapeau
fr|mug|tasse
fr|bowl|saladier
fr|clock|pendule
fr|umbrella|ombrelle
fr|camera|caméra
fr|teddy bear|nounours
es|brown|café
es|pink|rosado
es|light blue|celeste
es|purple|violeta
es|teal|turquesa
es|striped|rayado
es|dotted|con lunares, de puntos
es|checked|de cuadros
es|denim|vaquero, mezclilla
es|leather|piel
es|t-shirt|playera
es|trousers|pantalones
es|sneaker|tenis
es|backpack|morral
es|handbag|cartera
es|suitcase|valija
es|mug|mug
es|clock|reloj
es|watch|reloj pulsera
es|headphones|audífonos, cascos
es|teddy bear|oso de peluche
it|light blue|celeste
it|purple|lilla
it|teal|turchese
it|plain|monocolore
it|striped|rigato
it|two-tone|due colori
it|denim|jeans
it|leather|cuoio
it|t-shirt|t-shirt
it|sneaker|sneaker
it|high heel|décolleté
it|tote bag|borsa di tela
it|beanie|berretto
it|sun hat|cappello di paglia, cappello
it|wine glass|bicchiere da vino, calice
it|clock|orologio
it|teddy bear|orsetto
it|plant pot|portavasi
pt|brown|marrom
pt|grey|cinza
pt|pink|rosa
pt|teal|turquesa
pt|plain|de cor lisa
pt|striped|listrado, com listras, com riscas
pt|checked|xadrez
pt|dotted|de bolinhas, com bolinhas
pt|denim|jeans
pt|t-shirt|camiseta
pt|hoodie|moletom
pt|sneaker|tênis
pt|high heel|salto alto
pt|tote bag|sacola
pt|handbag|bolsa de mão, bolsa
pt|wine glass|taça de vinho
pt|lamp|luminária
pt|vase|vaso
pt|clock|relógio
pt|watch|relógio pulseira
pt|headphones|fones de ouvido, headphones
pt|camera|câmera
pt|guitar|violão
pt|kite|pipa
pt|toy car|carrinho de brinquedo
pt|teddy bear|urso de pelúcia
pt|tent|barraca
nl|light blue|hemelsblauw
nl|teal|turquoise
nl|plain|uni
nl|striped|met strepen
nl|dotted|met stippen
nl|wavy|met golfpatroon
nl|diamond|met diamanten
nl|denim|spijkerstof
nl|plastic|plastic
nl|leather|lederen
nl|wood|houten
nl|wool|wollen
nl|cotton|katoenen
nl|metal|metalen
nl|t-shirt|shirt
nl|hoodie|hoodie
nl|sneaker|sneaker, gympen
nl|high heel|hoge hak
nl|tote bag|stoffen tas
nl|cap|honkbalpet
nl|sun hat|hoed, strohoed
nl|mug|beker
nl|pan|pan
nl|bowl|schaal
nl|clock|wandklok
nl|watch|polshorloge
nl|camera|fototoestel
nl|teddy bear|knuffelbeer
ja|red|赤色, レッド
ja|yellow|黄, イエロー
ja|green|グリーン
ja|light blue|ライトブルー
ja|blue|ブルー
ja|purple|パープル
ja|pink|桃色
ja|brown|ブラウン
ja|grey|灰色
ja|black|ブラック
ja|white|ホワイト
ja|plain|シンプル
ja|striped|縞模様, ボーダー
ja|dotted|ドット柄, ドット
ja|checked|チェック柄
ja|plaid|タータン
ja|camouflage|カモフラージュ
ja|cotton|綿
ja|wool|毛糸, 羊毛
ja|leather|革, 本革
ja|wood|木製, ウッド
ja|metal|メタル
ja|ceramic|セラミック
ja|t-shirt|シャツ
ja|hoodie|フーディー
ja|trousers|パンツ
ja|sneaker|運動靴
ja|backpack|リュックサック, バックパック
ja|cap|野球帽
ja|sun hat|麦わら帽子
ja|mug|マグ
ja|cushion|枕
ja|chair|いす, チェア
ja|headphones|ヘッドフォン
ja|camera|写真機
ja|umbrella|かさ
ja|teddy bear|くまのぬいぐるみ
"""

SYNONYMS: list[tuple[str, str, str]] = [
    (language, key, word.strip())
    for language, key, words in (line.split("|") for line in _ROWS.strip().splitlines())
    for word in words.split(",")
]
"""Language, the English word of a table of captions, and what else is said for it; a row from outside is added here."""
