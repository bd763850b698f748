"""How each method is written and drawn: one title, one colour, one marker everywhere.

The colours are Okabe and Ito's eight, chosen to be told apart with any colour vision, and darker or lighter companions
for variants of one method; the marker differs wherever two colours are close.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Look:
    """Title in tables and legends, colour as a hex string, and matplotlib marker and line style."""

    title: str
    color: str
    marker: str = "o"
    line: str = "-"


METHODS: dict[str, Look] = {
    "none": Look("unedited", "#000000", "x", ":"),
    "ft": Look("FT", "#E69F00", "s"),
    "ft_l": Look("FT+L", "#B37400", "D", "--"),
    "ft_1": Look("FT-1", "#F0B94D", "s", "-."),
    "ft_5": Look("FT-5", "#B37400", "D", "-."),
    "ft_w": Look("FT-W", "#E69F00", "X"),
    "attn_edit": Look("AttnEdit", "#CC79A7", "P"),
    "kn": Look("KN", "#8C564B", "v"),
    "ke": Look("KE", "#999999", "<"),
    "ke_cf": Look("KE-CF", "#777777", "<", "--"),
    "ke_px": Look("KE + paraphrases", "#777777", "<", "-."),
    "ke_zsre": Look("KE-zsRE", "#777777", ">", "--"),
    "enn": Look("ENN", "#AA4499", "P", "-."),
    "ft_kl": Look("FT+KL", "#B37400", "d", ":"),
    "cache": Look("cache", "#44AA99", "v", ":"),
    "mend": Look("MEND", "#56B4E9", "^"),
    "mend_cf": Look("MEND-CF", "#2A86BB", "^", "--"),
    "mend_zsre": Look("MEND-zsRE", "#2A86BB", ">", "--"),
    "rome": Look("ROME", "#009E73", "o"),
    "r_rome": Look("r-ROME", "#00644A", "o", "--"),
    "p_rome": Look("p-ROME", "#66C5A5", "o", "-."),
    "memit": Look("MEMIT", "#0072B2", "h"),
    "memit_joint": Look("MEMIT, joint z", "#66AADD", "H", "--"),
    "serac": Look("SERAC", "#D55E00", "*"),
    "rp": Look("retrieve and prompt", "#F2A36B", "*", ":"),
    "t_patcher": Look("T-Patcher", "#F0E442", "p"),
    "calinet": Look("CaliNet", "#117733", "P"),
    "ike": Look("IKE", "#882255", "d"),
    "prompt": Look("PROMPT", "#661100", "s"),
    "random": Look("random direction", "#BBBBBB", "x", ":"),
    "states": Look("hidden state", "#6A51A3", "o"),
    "mlp": Look("MLP", "#238B45", "s"),
    "attention": Look("attention", "#CB181D", "^"),
}


def title_of(method: str) -> str:
    """Return the written name of a method's key; a key without an entry is its own title, and "-" is empty.

    A number after a known key is kept: `mend_25` is MEND-25.
    """
    if method == "-":
        return ""
    base, _, number = method.rpartition("_")
    if method not in METHODS and base in METHODS and number.isdigit():
        return f"{METHODS[base].title}-{number}"
    return METHODS[method].title if method in METHODS else method
