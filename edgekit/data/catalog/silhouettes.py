"""The table of silhouettes, parsed by `edgekit.data.catalog.shapes`.

A record begins with `name category x,y,radius` (the emblem's place); every indented entry is one part from back to
front: its colour slot, how its points are read (a band with its width), and the points; deeper lines continue a part.
"""

from __future__ import annotations

__all__ = ["SILHOUETTES"]

SILHOUETTES = """
t-shirt clothing 0,.05,.3
  body half 0,-.68 .22,-.78 .5,-.7 .98,-.28 .76,0 .52,-.2 .52,.85 0,.85
  trim poly .98,-.28 .76,0 .68,-.07 .9,-.36
  trim poly -.98,-.28 -.76,0 -.68,-.07 -.9,-.36
  trim band:.1 -.24,-.76 -.12,-.62 0,-.58 .12,-.62 .24,-.76
hoodie clothing 0,-.05,.24
  trim softhalf 0,-.98 .3,-.92 .38,-.6 0,-.45
  body half 0,-.55 .5,-.62 .72,-.4 .95,.6 .72,.68 .5,0 .52,.82 0,.82
  dark oval 0,-.66 .18,.18
  trim poly -.52,.74 .52,.74 .52,.88 -.52,.88
  trim poly .95,.6 .72,.68 .7,.56 .92,.47
  trim poly -.95,.6 -.72,.68 -.7,.56 -.92,.47
  trim poly -.3,.3 .3,.3 .4,.62 -.4,.62
dress clothing 0,.42,.28
  body half 0,-.6 .14,-.62 .22,-.95 .34,-.95 .36,-.5 .26,-.12 .72,.92 0,.98
  trim half 0,-.2 .28,-.2 .28,-.05 0,-.05
trousers clothing .34,.05,.14
  body half 0,-.92 .46,-.92 .58,.92 .2,.92 0,-.25
  trim half 0,-.95 .47,-.95 .48,-.78 0,-.78
  dark poly -.07,-.93 .07,-.93 .07,-.8 -.07,-.8
  trim poly .58,.92 .2,.92 .18,.8 .57,.8
  trim poly -.58,.92 -.2,.92 -.18,.8 -.57,.8
skirt clothing .1,.2,.28
  body half 0,-.62 .36,-.62 .88,.7 0,.82
  trim half 0,-.72 .37,-.72 .42,-.5 0,-.5
sock clothing -.08,-.3,.18
  body soft -.35,-.95 .2,-.95 .22,.1 .75,.5 .8,.8 .5,.92 -.1,.75 -.38,.4
  trim poly -.38,-.98 .24,-.98 .24,-.72 -.38,-.72
  trim soft .52,.45 .82,.6 .78,.88 .5,.93 .42,.7
  accent soft -.4,.2 -.1,.4 -.15,.75 -.42,.45
sneaker shoes -.45,-.06,.2
  body poly -.92,-.42 -.5,-.5 -.3,-.38 0,-.42 .3,-.1 .85,.05 .97,.3 -.92,.3
  accent soft .6,0 .9,.05 1,.3 .6,.3
  trim poly -.96,.26 .99,.26 .95,.5 -.92,.5
  dark band:.06 -.12,-.3 .12,-.34
  dark band:.06 0,-.16 .24,-.22
  dark band:.06 .14,-.03 .4,-.1
boot shoes -.18,-.3,.22
  body poly -.55,-.92 .18,-.92 .2,.1 .72,.28 .85,.62 -.55,.62
  trim poly -.6,.6 .9,.6 .88,.78 -.1,.78 -.12,.92 -.6,.92
  trim poly -.58,-.96 .22,-.96 .22,-.76 -.58,-.76
  dark band:.08 -.56,.14 .22,.14
high_heel shoes -.5,-.08,.15
  body soft -.8,-.45 -.6,-.5 -.2,-.05 .3,.3 .9,.45 .95,.6 .3,.62 -.2,.35 -.75,.1
  trim poly -.85,-.05 -.6,.08 -.7,.68 -.8,.68
  trim poly -.2,.36 .3,.6 .97,.56 .95,.68 .2,.68
  accent band:.09 -.75,-.45 -.5,-.62 -.3,-.25
sandal shoes 0,-.36,.16
  trim soft -.5,-.9 .1,-.95 .45,-.4 .35,.3 .5,.85 0,.98 -.45,.7 -.4,.1
  body band:.3 -.52,-.15 0,-.42 .52,-.25
  body band:.26 -.52,.5 0,.35 .52,.5
  dark band:.1 0,-.85 0,-.3
tote_bag bags 0,.38,.34
  trim band:.1 -.36,-.15 -.3,-.75 0,-.92 .3,-.75 .36,-.15
  body half 0,-.25 .66,-.25 .74,.92 0,.92
  trim half 0,-.28 .67,-.28 .68,-.14 0,-.14
backpack bags 0,-.28,.27
  dark band:.09 -.16,-.75 -.1,-.95 .1,-.95 .16,-.75
  trim band:.14 -.5,-.4 -.72,0 -.62,.6
  trim band:.14 .5,-.4 .72,0 .62,.6
  body softhalf 0,-.85 .45,-.7 .6,-.1 .62,.8 0,.95
  trim half 0,.25 .44,.25 .46,.8 0,.82
  dark band:.07 -.44,.36 .44,.36
handbag bags 0,.47,.2
  trim band:.11 -.45,-.1 -.38,-.62 0,-.8 .38,-.62 .45,-.1
  body softhalf 0,-.25 .65,-.22 .92,.68 0,.75
  trim half 0,-.26 .66,-.26 .58,.12 0,.22
  accent oval 0,.16 .12,.1
suitcase bags 0,.1,.27
  dark band:.09 -.25,-.5 -.25,-.95 .25,-.95 .25,-.5
  body poly -.5,-.62 .5,-.62 .6,-.52 .6,.76 .5,.84 -.5,.84 -.6,.76 -.6,-.52
  trim poly -.46,-.62 -.3,-.62 -.3,.84 -.46,.84
  trim poly .3,-.62 .46,-.62 .46,.84 .3,.84
  dark oval -.4,.9 .1,.09
  dark oval .4,.9 .1,.09
cap hats -.15,-.15,.26
  body soft -.75,.25 -.72,-.2 -.35,-.6 .1,-.6 .42,-.2 .45,.25 -.15,.32
  trim soft .2,.12 .75,.12 .99,.38 .6,.38 .1,.32
  accent oval -.14,-.58 .12,.08
beanie hats 0,-.12,.26
  accent oval 0,-.78 .24,.22
  body softhalf 0,-.66 .45,-.5 .68,0 .68,.5 0,.5
  trim half 0,.3 .74,.3 .74,.72 0,.72
sun_hat hats 0,-.25,.22
  body oval 0,.3 .98,.4
  body softhalf 0,-.62 .38,-.55 .5,.2 0,.36
  trim soft -.52,0 0,.12 .52,0 .54,.26 0,.38 -.54,.26
mug kitchen -.13,.08,.32
  trim band:.16 .36,-.35 .78,-.35 .84,.1 .7,.42 .36,.45
  body poly -.68,-.62 .42,-.62 .4,.7 -.66,.7
  trim oval -.13,-.62 .55,.14
  dark oval -.13,-.61 .44,.09
teapot kitchen 0,.2,.3
  trim band:.13 -.5,-.25 -.92,-.2 -.88,.3 -.5,.4
  body poly .4,.1 .98,-.5 .99,-.32 .5,.5
  body oval 0,.18 .64,.56
  trim soft -.34,-.3 0,-.5 .34,-.3 0,-.24
  accent oval 0,-.56 .12,.11
bottle kitchen 0,.54,.24
  body softhalf 0,-.7 .15,-.7 .17,-.35 .4,-.05 .42,.88 0,.95
  trim poly -.17,-.96 .17,-.96 .17,-.66 -.17,-.66
  accent poly -.42,.12 .42,.12 .42,.24 -.42,.24
bowl kitchen 0,.22,.2
  body softhalf 0,-.2 .94,-.24 .7,.4 0,.62
  trim oval 0,-.22 .94,.2
  dark oval 0,-.2 .8,.13
  trim half 0,.52 .32,.52 .36,.7 0,.7
pan kitchen -.25,.17,.24
  trim poly .3,-.1 .98,-.6 .99,-.4 .4,.15
  body oval -.25,.15 .7,.62
  dark oval -.25,.15 .54,.46
  body oval -.25,.17 .48,.4
wine_glass kitchen 0,-.45,.24
  body softhalf 0,-.92 .44,-.92 .46,-.4 .1,.05 0,.08
  trim poly -.06,0 .06,0 .06,.8 -.06,.8
  trim oval 0,.84 .44,.1
  accent half 0,-.95 .45,-.95 .47,-.82 0,-.82
lamp home 0,-.45,.24
  body half 0,-.9 .38,-.9 .68,0 0,.05
  trim poly -.08,0 .08,0 .08,.8 -.08,.8
  trim oval 0,.82 .42,.13
  accent half 0,-.08 .67,-.1 .7,.04 0,.08
cushion home 0,0,.36
  trim poly -.9,-.9 0,-.76 .9,-.9 .78,0 .9,.9 0,.76 -.9,.9 -.78,0
  body poly -.74,-.74 0,-.64 .74,-.74 .66,0 .74,.74 0,.64 -.74,.74 -.66,0
vase home 0,.18,.3
  body softhalf 0,-.85 .3,-.9 .16,-.5 .6,.15 .34,.88 0,.92
  trim oval 0,-.87 .3,.09
  trim half 0,.8 .36,.8 .36,.94 0,.94
  accent half 0,-.55 .2,-.55 .24,-.42 0,-.42
clock home 0,.42,.16
  trim oval 0,0 .92,.92
  body oval 0,0 .74,.74
  dark band:.09 0,0 0,-.56
  dark band:.09 0,0 .38,.2
  accent oval 0,0 .11,.11
plant_pot home 0,.5,.24
  accent soft -.1,-.1 -.75,-.35 -.7,-.75 -.2,-.45
  accent soft .1,-.1 .75,-.3 .72,-.7 .2,-.45
  accent soft -.15,0 -.22,-.7 .05,-.98 .22,-.6 .15,0
  body half 0,0 .55,0 .4,.92 0,.92
  trim half 0,-.08 .62,-.08 .62,.14 0,.14
chair furniture 0,-.52,.25
  trim poly -.52,.1 -.4,.1 -.4,.95 -.52,.95
  trim poly .4,.1 .52,.1 .52,.95 .4,.95
  body half 0,-.95 .42,-.92 .46,-.1 0,-.1
  trim poly -.4,-.1 -.26,-.1 -.26,.15 -.4,.15
  trim poly .26,-.1 .4,-.1 .4,.15 .26,.15
  body half 0,.06 .52,.06 .62,.34 0,.34
armchair furniture 0,-.32,.28
  dark poly -.72,.6 -.55,.6 -.55,.85 -.72,.85
  dark poly .55,.6 .72,.6 .72,.85 .55,.85
  body softhalf 0,-.82 .6,-.72 .62,.3 0,.3
  trim half 0,.1 .6,.1 .6,.66 0,.66
  body soft .5,-.15 .92,-.15 .88,.66 .5,.66
  body soft -.5,-.15 -.92,-.15 -.88,.66 -.5,.66
stool furniture 0,-.5,.18
  trim poly -.5,-.3 -.34,-.3 -.55,.95 -.7,.95
  trim poly .5,-.3 .34,-.3 .55,.95 .7,.95
  accent band:.1 -.55,.45 .55,.45
  body poly -.72,-.75 .72,-.75 .8,-.5 .7,-.25 -.7,-.25 -.8,-.5
cabinet furniture 0,-.4,.24
  dark poly -.6,.7 -.45,.7 -.45,.95 -.6,.95
  dark poly .45,.7 .6,.7 .6,.95 .45,.95
  body poly -.7,-.8 .7,-.8 .7,.78 -.7,.78
  trim poly -.78,-.9 .78,-.9 .78,-.74 -.78,-.74
  trim poly -.7,-.06 .7,-.06 .7,.04 -.7,.04
  trim poly -.04,.04 .04,.04 .04,.78 -.04,.78
  accent oval -.14,.38 .07,.07
  accent oval .14,.38 .07,.07
watch electronics 0,.24,.12
  trim poly -.24,-.98 .24,-.98 .3,-.4 -.3,-.4
  trim poly -.24,.98 .24,.98 .3,.4 -.3,.4
  dark oval .5,0 .1,.1
  dark oval 0,0 .54,.54
  body oval 0,0 .45,.45
  accent band:.07 0,0 0,-.36
  accent band:.07 0,0 .24,.1
headphones electronics -.68,.38,.15
  trim band:.16 -.68,.3 -.72,-.2 -.45,-.68 0,-.84 .45,-.68 .72,-.2 .68,.3
  dark oval -.5,.38 .16,.4
  dark oval .5,.38 .16,.4
  body oval -.68,.38 .27,.46
  body oval .68,.38 .27,.46
camera electronics -.66,.1,.18
  trim poly -.35,-.62 .3,-.62 .42,-.3 -.45,-.3
  body poly -.94,-.42 .94,-.42 .94,.64 -.94,.64
  trim oval .12,.1 .5,.48
  dark oval .12,.1 .36,.35
  accent oval .12,.1 .18,.18
  accent poly .62,-.54 .84,-.54 .84,-.42 .62,-.42
radio electronics .26,.3,.16
  dark band:.06 .4,-.5 .75,-.96
  trim band:.1 -.5,-.4 -.46,-.68 .3,-.68 .34,-.4
  body poly -.92,-.48 .92,-.48 .92,.64 -.92,.64
  trim oval -.44,.12 .37,.37
  dark oval -.44,.12 .26,.26
  trim poly .08,-.32 .8,-.32 .8,-.06 .08,-.06
  accent oval .64,.32 .15,.15
guitar music .28,.66,.15
  trim poly -.06,-.85 .06,-.85 .06,.1 -.06,.1
  dark poly -.12,-.99 .12,-.99 .09,-.76 -.09,-.76
  body softhalf 0,-.18 .36,-.1 .28,.25 .54,.6 .3,.95 0,.98
  dark oval 0,.25 .13,.13
  accent poly -.17,.62 .17,.62 .17,.72 -.17,.72
drum music 0,.18,.26
  body poly -.76,-.4 .76,-.4 .7,.6 -.7,.6
  trim oval 0,.6 .72,.2
  body oval 0,.5 .7,.18
  trim oval 0,-.4 .8,.26
  accent oval 0,-.42 .66,.18
ball toys 0,.42,.26
  body oval 0,0 .88,.88
  trim band:.16 -.84,-.2 0,.05 .84,-.2
kite toys -.2,0,.16
  dark band:.05 0,.45 .2,.7 -.1,.82 .15,.98
  body half 0,-.98 .66,-.3 0,.55
  trim poly 0,-.3 .66,-.3 0,.55
  trim poly 0,-.98 0,-.3 -.66,-.3
  accent soft 0,.7 .35,.58 .35,.82
toy_car toys 0,.15,.17
  trim poly -.5,-.06 -.28,-.52 .36,-.52 .6,-.06
  accent poly -.26,-.42 .02,-.42 .02,-.1 -.26,-.1
  accent poly .1,-.42 .38,-.42 .38,-.1 .1,-.1
  body poly -.96,-.06 .8,-.1 .98,.12 .98,.42 -.96,.42
  dark oval -.52,.42 .25,.25
  dark oval .54,.42 .25,.25
  trim oval -.52,.42 .12,.12
  trim oval .54,.42 .12,.12
teddy_bear toys 0,.38,.26
  body oval -.34,-.8 .18,.18
  body oval .34,-.8 .18,.18
  body oval -.58,.12 .26,.18
  body oval .58,.12 .26,.18
  trim oval -.34,.82 .24,.18
  trim oval .34,.82 .24,.18
  body oval 0,.36 .52,.54
  body oval 0,-.46 .46,.42
  trim oval 0,-.32 .2,.16
  dark oval -.17,-.55 .06,.06
  dark oval .17,-.55 .06,.06
  dark oval 0,-.36 .07,.05
umbrella outdoor .6,-.3,.17
  trim band:.09 0,-.1 0,.8 .14,.93 .28,.8
  body poly 0,-.88 .5,-.74 .86,-.35 .97,.1 .65,-.04 .33,.1 0,-.04 -.33,.1 -.65,-.04 -.97,.1 -.86,-.35 -.5,-.74
  accent poly 0,-.88 .2,-.7 .33,.1 0,-.04 -.33,.1 -.2,-.7
tent outdoor -.5,.4,.16
  body poly 0,-.72 .98,.68 -.98,.68
  trim poly 0,-.72 .12,-.72 .99,.68 .78,.68
  dark poly 0,-.2 .3,.68 -.3,.68
  trim poly 0,-.2 -.3,.68 -.42,.68
lantern outdoor 0,.12,.28
  dark band:.07 -.3,-.5 -.26,-.88 0,-.97 .26,-.88 .3,-.5
  trim half 0,-.62 .26,-.62 .5,-.38 0,-.38
  body poly -.44,-.4 .44,-.4 .44,.66 -.44,.66
  trim poly -.52,.62 .52,.62 .52,.86 -.52,.86
  dark poly -.46,-.4 -.38,-.4 -.38,.64 -.46,.64
  dark poly .38,-.4 .46,-.4 .46,.64 .38,.64
"""
