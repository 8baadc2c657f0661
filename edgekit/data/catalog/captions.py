"""Captions from word tables, one row per word, one column per language."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["COLOR_WORDS", "ITEM_WORDS", "LANGUAGES", "MATERIAL_WORDS", "PATTERN_WORDS", "write_captions"]

LANGUAGES: tuple[str, ...] = ("en", "de", "fr", "es", "it", "pt", "nl", "ja")

TEMPLATES: dict[str, str] = {
    "en": "{color} {pattern} {material} {item}",
    "de": "{item} aus {material}, {color}, {pattern}",
    "fr": "{item} en {material}, {color}, {pattern}",
    "es": "{item} de {material}, {color}, {pattern}",
    "it": "{item} in {material}, {color}, {pattern}",
    "pt": "{item} em {material}, {color}, {pattern}",
    "nl": "{item} van {material}, {color}, {pattern}",
    "ja": "{color}・{pattern}・{material}の{item}",
}

_COLORS = """
red|rot|rouge|rojo|rosso|vermelho|rood|赤
orange|orange|orange|naranja|arancione|laranja|oranje|オレンジ
yellow|gelb|jaune|amarillo|giallo|amarelo|geel|黄色
green|grün|vert|verde|verde|verde|groen|緑
teal|petrol|bleu canard|verde azulado|verde petrolio|azul-petróleo|petrolblauw|青緑
light blue|hellblau|bleu clair|azul claro|azzurro|azul-claro|lichtblauw|水色
blue|blau|bleu|azul|blu|azul|blauw|青
purple|lila|violet|morado|viola|roxo|paars|紫
pink|rosa|rose|rosa|rosa|cor-de-rosa|roze|ピンク
brown|braun|marron|marrón|marrone|castanho|bruin|茶色
beige|beige|beige|beige|beige|bege|beige|ベージュ
grey|grau|gris|gris|grigio|cinzento|grijs|グレー
black|schwarz|noir|negro|nero|preto|zwart|黒
white|weiß|blanc|blanco|bianco|branco|wit|白
"""

_PATTERNS = """
plain|einfarbig|uni|liso|a tinta unita|liso|effen|無地
striped|gestreift|à rayures|a rayas|a righe|às riscas|gestreept|ストライプ
pinstriped|mit Nadelstreifen|à fines rayures|de raya diplomática|gessato|risca de giz|met krijtstreep|ピンストライプ
checked|kariert|à carreaux|a cuadros|a quadri|aos quadrados|geruit|市松
plaid|mit Schottenkaro|écossais|a cuadros escoceses|scozzese|escocês|met Schotse ruit|タータンチェック
dotted|gepunktet|à pois|de lunares|a pois|às bolinhas|gestippeld|水玉
wavy|gewellt|à vagues|con ondas|a onde|às ondas|met golven|波模様
zigzag|mit Zickzack|à zigzags|en zigzag|a zigzag|em ziguezague|met zigzag|ジグザグ
diamond|mit Rauten|à losanges|con rombos|a rombi|aos losangos|met wybertjes|ひし形
gridded|mit Gitter|quadrillé|cuadriculado|a griglia|quadriculado|met raster|格子
ringed|mit Ringen|à anneaux|con anillos|ad anelli|com anéis|met ringen|同心円
two-tone|zweifarbig|bicolore|bicolor|bicolore|bicolor|tweekleurig|ツートン
sunburst|mit Strahlen|à rayons|con rayos|a raggi|com raios|met stralen|放射模様
camouflage|mit Tarnmuster|camouflage|de camuflaje|mimetico|camuflado|met camouflage|迷彩
"""

_MATERIALS = """
cotton|Baumwolle|coton|algodón|cotone|algodão|katoen|コットン
wool|Wolle|laine|lana|lana|lã|wol|ウール
denim|Denim|jean|tela vaquera|denim|ganga|denim|デニム
leather|Leder|cuir|cuero|pelle|couro|leer|レザー
wood|Holz|bois|madera|legno|madeira|hout|木
metal|Metall|métal|metal|metallo|metal|metaal|金属
plastic|Kunststoff|plastique|plástico|plastica|plástico|kunststof|プラスチック
ceramic|Keramik|céramique|cerámica|ceramica|cerâmica|keramiek|陶器
"""

_ITEMS = """
t-shirt|T-Shirt|t-shirt|camiseta|maglietta|t-shirt|T-shirt|Tシャツ
hoodie|Kapuzenpullover|sweat à capuche|sudadera con capucha|felpa con cappuccio|camisola com capuz|capuchontrui|パーカー
dress|Kleid|robe|vestido|vestito|vestido|jurk|ワンピース
trousers|Hose|pantalon|pantalón|pantaloni|calças|broek|ズボン
skirt|Rock|jupe|falda|gonna|saia|rok|スカート
sock|Socke|chaussette|calcetín|calzino|meia|sok|靴下
sneaker|Turnschuh|basket|zapatilla|scarpa da ginnastica|sapatilha|sportschoen|スニーカー
boot|Stiefel|botte|bota|stivale|bota|laars|ブーツ
high heel|Pumps|escarpin|zapato de tacón|scarpa col tacco|sapato de salto alto|pump|ハイヒール
sandal|Sandale|sandale|sandalia|sandalo|sandália|sandaal|サンダル
tote bag|Tragetasche|cabas|bolsa de mano|borsa shopper|saco de pano|draagtas|トートバッグ
backpack|Rucksack|sac à dos|mochila|zaino|mochila|rugzak|リュック
handbag|Handtasche|sac à main|bolso|borsetta|mala de mão|handtas|ハンドバッグ
suitcase|Koffer|valise|maleta|valigia|mala de viagem|koffer|スーツケース
cap|Schirmmütze|casquette|gorra|berretto con visiera|boné|pet|キャップ
beanie|Strickmütze|bonnet|gorro|berretto di maglia|gorro|muts|ニット帽
sun hat|Sonnenhut|chapeau de soleil|sombrero|cappello da sole|chapéu de sol|zonnehoed|帽子
mug|Becher|mug|taza|tazza|caneca|mok|マグカップ
teapot|Teekanne|théière|tetera|teiera|bule|theepot|ティーポット
bottle|Flasche|bouteille|botella|bottiglia|garrafa|fles|ボトル
bowl|Schale|bol|cuenco|ciotola|tigela|kom|ボウル
pan|Pfanne|poêle|sartén|padella|frigideira|koekenpan|フライパン
wine glass|Weinglas|verre à vin|copa|calice da vino|copo de vinho|wijnglas|ワイングラス
lamp|Lampe|lampe|lámpara|lampada|candeeiro|lamp|ランプ
cushion|Kissen|coussin|cojín|cuscino|almofada|kussen|クッション
vase|Vase|vase|jarrón|vaso|jarra|vaas|花瓶
clock|Uhr|horloge|reloj de pared|orologio da parete|relógio de parede|klok|時計
plant pot|Blumentopf|pot de fleurs|maceta|vaso da fiori|vaso de plantas|bloempot|植木鉢
chair|Stuhl|chaise|silla|sedia|cadeira|stoel|椅子
armchair|Sessel|fauteuil|sillón|poltrona|poltrona|fauteuil|アームチェア
stool|Hocker|tabouret|taburete|sgabello|banco|kruk|スツール
cabinet|Schrank|armoire|armario|armadio|armário|kast|キャビネット
watch|Armbanduhr|montre|reloj de pulsera|orologio da polso|relógio de pulso|horloge|腕時計
headphones|Kopfhörer|casque audio|auriculares|cuffie|auscultadores|koptelefoon|ヘッドホン
camera|Kamera|appareil photo|cámara|macchina fotografica|máquina fotográfica|camera|カメラ
radio|Radio|radio|radio|radio|rádio|radio|ラジオ
guitar|Gitarre|guitare|guitarra|chitarra|guitarra|gitaar|ギター
drum|Trommel|tambour|tambor|tamburo|tambor|trommel|ドラム
ball|Ball|ballon|pelota|palla|bola|bal|ボール
kite|Drachen|cerf-volant|cometa|aquilone|papagaio de papel|vlieger|凧
toy car|Spielzeugauto|voiture miniature|coche de juguete|macchinina|carrinho de brincar|speelgoedauto|ミニカー
teddy bear|Teddybär|ours en peluche|osito de peluche|orsacchiotto|urso de peluche|teddybeer|テディベア
umbrella|Regenschirm|parapluie|paraguas|ombrello|guarda-chuva|paraplu|傘
tent|Zelt|tente|tienda de campaña|tenda|tenda|tent|テント
lantern|Laterne|lanterne|farol|lanterna|lanterna|lantaarn|ランタン
"""


def _table(rows: str) -> dict[str, dict[str, str]]:
    words = [line.split("|") for line in rows.strip().splitlines()]
    return {row[0]: dict(zip(LANGUAGES, row, strict=True)) for row in words}


COLOR_WORDS, PATTERN_WORDS, MATERIAL_WORDS, ITEM_WORDS = (_table(t) for t in (_COLORS, _PATTERNS, _MATERIALS, _ITEMS))


def write_captions(color: str, pattern: str, material: str, item: str) -> Mapping[str, str]:
    """One sentence per language code in LANGUAGES."""
    captions = {
        language: TEMPLATES[language].format(
            color=COLOR_WORDS[color][language],
            pattern=PATTERN_WORDS[pattern][language],
            material=MATERIAL_WORDS[material][language],
            item=ITEM_WORDS[item][language],
        )
        for language in LANGUAGES
    }
    return MappingProxyType(captions)
