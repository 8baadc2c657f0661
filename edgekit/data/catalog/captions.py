"""Captions from word tables, one row per word, one column per language."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["COLOR_WORDS", "ITEM_WORDS", "LANGUAGES", "MATERIAL_WORDS", "PATTERN_WORDS", "write_captions"]

LANGUAGES: tuple[str, ...] = ("en", "de", "fr", "es", "ja")

TEMPLATES: dict[str, str] = {
    "en": "{color} {pattern} {material} {item}",
    "de": "{item} aus {material}, {color}, {pattern}",
    "fr": "{item} en {material}, {color}, {pattern}",
    "es": "{item} de {material}, {color}, {pattern}",
    "ja": "{color}・{pattern}・{material}の{item}",
}

_COLORS = """
red|rot|rouge|rojo|赤
orange|orange|orange|naranja|オレンジ
yellow|gelb|jaune|amarillo|黄色
green|grün|vert|verde|緑
teal|petrol|bleu canard|verde azulado|青緑
light blue|hellblau|bleu clair|azul claro|水色
blue|blau|bleu|azul|青
purple|lila|violet|morado|紫
pink|rosa|rose|rosa|ピンク
brown|braun|marron|marrón|茶色
beige|beige|beige|beige|ベージュ
grey|grau|gris|gris|グレー
black|schwarz|noir|negro|黒
white|weiß|blanc|blanco|白
"""

_PATTERNS = """
plain|einfarbig|uni|liso|無地
striped|gestreift|à rayures|a rayas|ストライプ
pinstriped|mit Nadelstreifen|à fines rayures|de raya diplomática|ピンストライプ
checked|kariert|à carreaux|a cuadros|市松
plaid|mit Schottenkaro|écossais|a cuadros escoceses|タータンチェック
dotted|gepunktet|à pois|de lunares|水玉
wavy|gewellt|à vagues|con ondas|波模様
zigzag|mit Zickzack|à zigzags|en zigzag|ジグザグ
diamond|mit Rauten|à losanges|con rombos|ひし形
gridded|mit Gitter|quadrillé|cuadriculado|格子
ringed|mit Ringen|à anneaux|con anillos|同心円
two-tone|zweifarbig|bicolore|bicolor|ツートン
sunburst|mit Strahlen|à rayons|con rayos|放射模様
camouflage|mit Tarnmuster|camouflage|de camuflaje|迷彩
"""

_MATERIALS = """
cotton|Baumwolle|coton|algodón|コットン
wool|Wolle|laine|lana|ウール
denim|Denim|jean|tela vaquera|デニム
leather|Leder|cuir|cuero|レザー
wood|Holz|bois|madera|木
metal|Metall|métal|metal|金属
plastic|Kunststoff|plastique|plástico|プラスチック
ceramic|Keramik|céramique|cerámica|陶器
"""

_ITEMS = """
t-shirt|T-Shirt|t-shirt|camiseta|Tシャツ
hoodie|Kapuzenpullover|sweat à capuche|sudadera con capucha|パーカー
dress|Kleid|robe|vestido|ワンピース
trousers|Hose|pantalon|pantalón|ズボン
skirt|Rock|jupe|falda|スカート
sock|Socke|chaussette|calcetín|靴下
sneaker|Turnschuh|basket|zapatilla|スニーカー
boot|Stiefel|botte|bota|ブーツ
high heel|Pumps|escarpin|zapato de tacón|ハイヒール
sandal|Sandale|sandale|sandalia|サンダル
tote bag|Tragetasche|cabas|bolsa de mano|トートバッグ
backpack|Rucksack|sac à dos|mochila|リュック
handbag|Handtasche|sac à main|bolso|ハンドバッグ
suitcase|Koffer|valise|maleta|スーツケース
cap|Schirmmütze|casquette|gorra|キャップ
beanie|Strickmütze|bonnet|gorro|ニット帽
sun hat|Sonnenhut|chapeau de soleil|sombrero|帽子
mug|Becher|mug|taza|マグカップ
teapot|Teekanne|théière|tetera|ティーポット
bottle|Flasche|bouteille|botella|ボトル
bowl|Schale|bol|cuenco|ボウル
pan|Pfanne|poêle|sartén|フライパン
wine glass|Weinglas|verre à vin|copa|ワイングラス
lamp|Lampe|lampe|lámpara|ランプ
cushion|Kissen|coussin|cojín|クッション
vase|Vase|vase|jarrón|花瓶
clock|Uhr|horloge|reloj de pared|時計
plant pot|Blumentopf|pot de fleurs|maceta|植木鉢
chair|Stuhl|chaise|silla|椅子
armchair|Sessel|fauteuil|sillón|アームチェア
stool|Hocker|tabouret|taburete|スツール
cabinet|Schrank|armoire|armario|キャビネット
watch|Armbanduhr|montre|reloj de pulsera|腕時計
headphones|Kopfhörer|casque audio|auriculares|ヘッドホン
camera|Kamera|appareil photo|cámara|カメラ
radio|Radio|radio|radio|ラジオ
guitar|Gitarre|guitare|guitarra|ギター
drum|Trommel|tambour|tambor|ドラム
ball|Ball|ballon|pelota|ボール
kite|Drachen|cerf-volant|cometa|凧
toy car|Spielzeugauto|voiture miniature|coche de juguete|ミニカー
teddy bear|Teddybär|ours en peluche|osito de peluche|テディベア
umbrella|Regenschirm|parapluie|paraguas|傘
tent|Zelt|tente|tienda de campaña|テント
lantern|Laterne|lanterne|farol|ランタン
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
