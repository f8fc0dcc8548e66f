"""How pathological gaits deviate from the normal one: what is published of each, as tables.

A table holds the most severe form as a difference from normal gait; milder forms are scaled down to `mildest`, the
least that a clinician would call by that name. Papers give directions, thresholds and peaks; curves between them were
drawn for this room.

Sources
-------
[RO] Rodda et al. 2004, J Bone Joint Surg Br 86:251-258: sagittal patterns of diplegia. Crouch: hip and knee flexed and
     ankle dorsiflexed throughout stance.
[ST] Steele et al. 2012, J Biomech 45:2564-2569: crouch by the least knee flexion in stance, mild from 20°, moderate
     from 35°, severe from 50°.
[SU] Sutherland, Davids 1993, Clin Orthop 288:139-147: jump, crouch, recurvatum and stiff knee. Stiff: swing peak low
     and late.
[GO] Goldberg et al. 2006, J Biomech 39:689-698: measures of a stiff knee: peak flexion below 45° or so (normal 60-65°),
     range in early swing, time of the peak.
[KE] Kerrigan et al. 2000, Am J Phys Med Rehabil 79:247-252: hip hiking and circumduction measured in stiff-legged
     hemiparetic gait.
[DO] Don et al. 2007, Clin Biomech 22:905-916: foot drop of Charcot-Marie-Tooth disease: the foot hangs in swing, hip
     and knee flex more (steppage).
[SI] Simonsen et al. 2010, Clin Biomech 25:949-952: drop foot lands flat or on the forefoot; slower, shorter steps.
[OL] Olney, Richards 1996, Gait Posture 4:136-148: hemiparetic gait: 0.2-0.8 m/s, knee 30-40° in swing, little ankle
     push-off, longer stance of the sound leg.
[CH] Chen et al. 2005, Gait Posture 22:51-56: hemiparetic against sound at one speed: pelvis hiked in swing, foot
     swung outwards, wide steps, paretic step long, swing time asymmetric.
[MU] Murray, Gore, Clarkson 1971, J Bone Joint Surg Am 53:259-274: painful hip: short stance on it, short and hurried
     step of the sound leg, trunk lurches over it, less hip excursion, slower.
[WE] Westhoff et al. 2006, Gait Posture 24:196-202: frontal plane: Trendelenburg where the other side of the pelvis
     drops by more than 4° below normal; Duchenne where the trunk leans by 5° and more over the stance leg.
[KR] Krautwurst et al. 2013, Res Dev Disabil 34:1198-1203: weak hip abductors, trunk lean and pelvic drop.
[MO] Morris et al. 1999, Hum Mov Sci 18:461-483, and 1994, Brain 117:1169-1181: Parkinson's disease: short steps at
     equal or higher cadence, longer double support, less motion of hip, knee and ankle.
[SO] Sofuwa et al. 2005, Arch Phys Med Rehabil 86:1007-1013: the same, push-off plantarflexion most of all.
[HU] Hughes et al. 1990, J Neurol Neurosurg Psychiatry 53:115: foot put down flat in Parkinson's disease.
[HI] Hicks, Durinick, Gage 1988, J Pediatr Orthop 8:160-163: idiopathic toe-walkers: plantarflexed at contact and
     through stance, knees near straight.
[AL] Alvarez et al. 2007, Gait Posture 26:428-435: severity of toe-walking: first rocker missing, early heel rise,
     plantarflexed in the end.
"""

from __future__ import annotations

from dataclasses import dataclass, field

Table = tuple[tuple[float, ...], tuple[float, ...]]
"""Places and values. Curves of a leg: per cent of the stride (toe-off at 60), periodic."""


@dataclass(frozen=True, slots=True)
class FootChange:
    """What a foot does otherwise.

    Attributes
    ----------
    push, lift
        Added to the factors (1: normal) of plantar pitch from heel rise to mid-swing, and of the lift.
    swing_deg
        Added to the pitch at fractions of the swing, toes up positive; 0 is toe-off, 1 the strike.
    stance_deg
        Pitch while the foot stands: below 0 it stands on the forefoot.
    outward
        Of mid-swing, away from the other foot, fraction of body height.
    flat, rise
        Added to the fractions of stance at which foot-flat begins and ends.
    """

    push: float = 0.0
    lift: float = 0.0
    swing_deg: Table = ((0.0, 1.0), (0.0, 0.0))
    stance_deg: float = 0.0
    outward: float = 0.0
    flat: float = 0.0
    rise: float = 0.0


@dataclass(frozen=True, slots=True)
class LegChange:
    """What a leg, and the body over it, do otherwise.

    Attributes
    ----------
    foot
        The foot.
    curves
        By this leg's stride, degrees: `hip_flexion`, `knee_angle`, `ankle_angle`, `hip_adduction` as published curves;
        `pelvis_drop` of the other side (or hike of the own), `pelvis_forward` of the own side, `trunk_lean` towards
        this leg, `trunk_flexion` forwards. Thousandths of body height: `pelvis_height`, `pelvis_side` to this leg.
    """

    foot: FootChange = field(default_factory=FootChange)
    curves: dict[str, Table] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Pattern:
    """A gait pattern at its most severe, and the share of it that is mild.

    Attributes
    ----------
    sides
        Affected unless told otherwise: ``both`` or ``right``.
    mildest
        Share of the deviation at the mild end.
    leg, other
        An affected leg, and a sound leg beside an affected one.
    speed, walk_ratio, rotation
        Factors of natural speed, of step length over cadence, and of pelvis and trunk rotations.
    stance
        Added to the stance fraction of both legs.
    time_asymmetry, length_asymmetry
        Of the affected leg's step against the other's, as in `WalkSettings`.
    step_width_m, variability
        Added to the step width; factor of the variability from stride to stride.
    trunk_flexion_deg, pelvis_tilt_deg
        Forward lean of the trunk, and forward tilt of the pelvis.
    pelvis_ahead
        Of where it is in normal gait, thousandths of body height.
    """

    sides: str
    mildest: float
    leg: LegChange
    other: LegChange = field(default_factory=LegChange)
    speed: float = 1.0
    walk_ratio: float = 1.0
    rotation: float = 1.0
    stance: float = 0.0
    time_asymmetry: float = 0.0
    length_asymmetry: float = 0.0
    step_width_m: float = 0.0
    variability: float = 1.0
    trunk_flexion_deg: float = 0.0
    pelvis_tilt_deg: float = 0.0
    pelvis_ahead: float = 0.0


_STIFF_SWING = ((0, 40, 50, 60, 71, 78, 86, 94, 100), (0, 0, -4, -18, -48, -38, -12, 0, 0))

PATTERNS: dict[str, Pattern] = {
    "normal": Pattern("both", 0.0, LegChange()),
    # least knee flexion of stance 20° mild [ST] to about 45°; dorsiflexed [RO]; short steps, flat contact
    "crouch": Pattern(
        "both",
        0.4,
        LegChange(
            FootChange(push=-0.28, swing_deg=((0, 0.5, 0.8, 1), (2, 2, -14, -16)), flat=-0.05, rise=-0.14),
            {
                "knee_angle": ((0, 14, 40, 60, 71, 86, 100), (42, 36, 49, 26, 0, 18, 42)),
                "hip_flexion": ((0, 14, 40, 55, 72, 86, 100), (22, 23, 32, 30, 20, 18, 22)),
                "ankle_angle": ((0, 14, 40, 56, 70, 86, 100), (10, 14, 18, 14, 6, 8, 10)),
            },
        ),
        speed=0.7,
        walk_ratio=0.68,
        step_width_m=0.03,
        variability=1.3,
        trunk_flexion_deg=6.0,
        pelvis_tilt_deg=5.0,
        pelvis_ahead=-34.0,
    ),
    # peak of swing from 45° to 15-20° and late [GO, SU]; hiked, swung out a little, the sound leg vaults [KE]
    "stiff_knee": Pattern(
        "right",
        0.42,
        LegChange(
            FootChange(
                push=-0.68, lift=-0.45, swing_deg=((0, 0.35, 0.5, 0.65, 0.85, 1), (2, 3, 1, -4, -10, -9)), outward=0.03
            ),
            {
                "knee_angle": _STIFF_SWING,
                "hip_flexion": ((0, 50, 60, 72, 86, 100), (0, 0, -4, -7, -4, 0)),
                "hip_adduction": ((0, 55, 66, 78, 92, 100), (0, 0, -5, -6, -1, 0)),
                "pelvis_drop": ((0, 50, 62, 75, 90, 100), (0, 0, 5, 6, 2, 0)),
                "pelvis_height": ((0, 55, 72, 90, 100), (0, 0, 16, 5, 0)),
            },
        ),
        LegChange(FootChange(rise=-0.15)),
        speed=0.75,
        walk_ratio=0.9,
        time_asymmetry=0.1,
        variability=1.3,
    ),
    # foot hangs in swing; lands flat (mild) or on the forefoot; hip and knee lift it over the floor [DO, SI]
    "drop_foot": Pattern(
        "right",
        0.5,
        LegChange(
            FootChange(
                lift=0.7,
                swing_deg=((0, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 1), (0, -1, -7, -17, -28, -37, -37, -34)),
                flat=-0.06,
            ),
            {
                "knee_angle": ((0, 60, 72, 84, 100), (2, 0, 10, 12, 2)),
                "hip_flexion": ((0, 60, 75, 88, 100), (3, 0, 12, 10, 3)),
                "ankle_angle": ((0, 10, 55, 70, 85, 100), (-15, 0, 0, -8, -20, -15)),
            },
        ),
        speed=0.85,
        walk_ratio=0.93,
        time_asymmetry=0.05,
        variability=1.2,
    ),
    # the stiff, drooping leg swings round [KE, CH]: hip abducted, pelvis hiked and back on that side; slow, and long on
    # the sound leg [OL]
    "circumduction": Pattern(
        "right",
        0.4,
        LegChange(
            FootChange(
                push=-0.45,
                lift=-0.2,
                swing_deg=((0, 0.35, 0.65, 0.85, 1), (2, 2, -16, -26, -23)),
                outward=0.065,
                flat=-0.04,
            ),
            {
                "knee_angle": ((0, 14, 45, 60, 71, 80, 92, 100), (4, -6, 0, -12, -33, -24, 2, 4)),
                "hip_flexion": ((0, 45, 60, 74, 88, 100), (-4, 3, 0, -8, -7, -4)),
                "hip_adduction": ((0, 45, 62, 75, 90, 100), (-2, 0, -7, -12, -5, -2)),
                "ankle_angle": ((0, 10, 40, 60, 85, 100), (-9, 0, -2, 8, -10, -9)),
                "pelvis_drop": ((0, 45, 62, 75, 90, 100), (0, 0, 5, 6, 2, 0)),
                "pelvis_forward": ((0, 30, 60, 80, 100), (-5, -4, -7, -5, -5)),
                "trunk_lean": ((0, 45, 62, 76, 92, 100), (0, 0, -4, -5, -1, 0)),
                "pelvis_height": ((0, 55, 72, 90, 100), (0, 0, 4, 1, 0)),
            },
        ),
        speed=0.5,
        walk_ratio=0.9,
        stance=0.02,
        time_asymmetry=0.3,
        length_asymmetry=0.2,
        step_width_m=0.05,
        variability=1.7,
    ),
    # stance on the painful leg cut short, the sound leg's step hurried and short, trunk over the painful leg [MU]
    "antalgic": Pattern(
        "right",
        0.4,
        LegChange(
            FootChange(push=-0.25, lift=-0.1, swing_deg=((0, 0.5, 0.85, 1), (0, 0, -8, -9)), flat=-0.04, rise=-0.04),
            {
                "knee_angle": ((0, 14, 30, 60, 71, 86, 100), (5, -6, 2, -4, -10, -2, 5)),
                "hip_flexion": ((0, 30, 50, 60, 86, 100), (-3, 4, 9, 5, -5, -3)),
                "trunk_lean": ((0, 10, 30, 48, 60, 80, 100), (2, 6, 9, 6, 1, 0, 2)),
                "pelvis_side": ((0, 12, 30, 48, 62, 100), (1, 5, 8, 5, 0, 1)),
            },
        ),
        speed=0.62,
        walk_ratio=0.9,
        time_asymmetry=0.4,
        length_asymmetry=0.3,
        variability=1.4,
        trunk_flexion_deg=4.0,
    ),
    # the other side of the pelvis drops in single stance [WE]; the trunk leans over the stance leg or does not [KR]
    "trendelenburg": Pattern(
        "right",
        0.4,
        LegChange(
            FootChange(),
            {
                "pelvis_drop": ((0, 8, 18, 40, 52, 64, 100), (0, 4, 10, 10, 4, 0, 0)),
                "hip_adduction": ((0, 8, 18, 40, 52, 64, 100), (0, 4, 9, 9, 4, 0, 0)),
                "trunk_lean": ((0, 10, 22, 40, 54, 68, 100), (0, 4, 8, 8, 3, 0, 0)),
                "pelvis_side": ((0, 12, 28, 48, 64, 100), (0, 5, 8, 4, 0, 0)),
            },
        ),
        speed=0.88,
        walk_ratio=0.96,
        time_asymmetry=0.06,
        variability=1.2,
    ),
    # short steps at higher cadence, long double support, small motions [MO, SO], flat contact [HU], stooped
    "shuffling": Pattern(
        "both",
        0.4,
        LegChange(
            FootChange(push=-0.15, lift=-0.35, swing_deg=((0, 0.5, 0.85, 1), (0, -2, -7, -7)), flat=-0.05, rise=0.06),
            {
                "knee_angle": ((0, 14, 40, 60, 71, 86, 100), (12, 2, 12, 0, -6, 6, 12)),
                "hip_flexion": ((0, 14, 40, 55, 72, 86, 100), (2, 4, 14, 14, 2, 0, 2)),
                "ankle_angle": ((0, 14, 40, 56, 62, 86, 100), (3, 4, 5, 8, 10, 4, 3)),
            },
        ),
        speed=0.5,
        walk_ratio=0.42,
        rotation=0.4,
        stance=0.035,
        variability=1.8,
        trunk_flexion_deg=17.0,
        pelvis_tilt_deg=3.0,
    ),
    # forefoot first, heel never down, early rise [HI, AL]
    "toe_walking": Pattern(
        "both",
        0.4,
        LegChange(
            FootChange(
                push=-0.08,
                swing_deg=((0, 0.35, 0.6, 0.8, 1), (0, -4, -14, -33, -40)),
                stance_deg=-18.0,
                flat=0.08,
                rise=-0.15,
            ),
            {
                "ankle_angle": ((0, 14, 40, 56, 70, 86, 100), (-22, -21, -24, -8, -4, -16, -22)),
                "knee_angle": ((0, 14, 40, 60, 71, 86, 100), (6, -4, 2, -2, -6, 2, 6)),
            },
        ),
        speed=0.9,
        walk_ratio=0.88,
        variability=1.2,
    ),
}
"""Every gait pattern by name."""
