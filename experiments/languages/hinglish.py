"""Hindi in Latin letters, alone or mixed with English: what language identifiers take for some other language. Pure.

Nobody writes romanised Hindi by a rule ("nahi", "nahin", "nhi"), and identifiers are trained on texts in Devanagari, so
they answer with Hausa, Tagalog or English. But every sentence has its small words ("hai", "nahi", "mera", "ka"), and
there are few of them: a list of those in their usual spellings, and the share of them among the words, tells it.

Some of those words are also English ("main", "the", "to", "do") or belong to other languages ("se", "ke", "na"): they
stand in lists of their own, and hardly count where no word is there that only Hindi has.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple


def _listed(words: str) -> frozenset[str]:
    return frozenset(words.split())


_SURE_WORDS = _listed("""
    hai hain hoon tha thi hua hui hoga hogi honge hota hoti hote hona nahi nahin nhi nahee haan haanji kya kyu
    kyun kyon kyunki kaise kaisa kaisi kab kahan kaha kaun kaunsa kitna kitne kitni kuch kuchh kisi jab agar
    lekin magar phir abhi aaj subah raat baje yahan yaha wahan mera meri mujhe mujhko mujhse maine hum humein
    hume hamara hamari hamare aap aapka aapki aapke aapko aapne tumhara tera teri yeh ye woh wo isko usko iska
    iski uska uski unka unko inka apna apni apne sabhi aur bhi sirf bahut bohot bahot zyada jyada thoda thodi
    itna itni bilkul bina baad pehle pahle saath sath liye liya lekar wala wali wale waala taki jaise aise waise
    ghar paisa paise rupaye rupay samay samasya kar karo karu karun karna karne karni karke karta karti karte
    kiya kijiye kijie kardo karwana raha rahi rahe rha rhi rhe gaya gayi gaye gya gyi gye jana jata jati jate
    jao jayega jayegi jaega jayenge jaye aa aaya aayi aaye aata aati aana ayega aayega aayegi aaenge aayenge
    mila mili milna milta milega milegi milenge chahiye chahie chahta chahti batao bataye bataiye batana bata
    bolo dekho dekha dikha diya diye dijiye dijie dedo dena dene deta deti dega degi denge lena lene leta leti
    lenge lagta lagega lagegi laga lagi sakta sakti sakte chala chalu chal khula khul bhej bhejo bheja bhejenge
    bhool khata khatam kharab galat sahi accha acha achha theek thik thanda naya nayi purana chhota bada badi
    dusra doosra teen paanch bhai yaar behen didi bhaiya ji namaste dhanyavaad dhanyawad shukriya kripya kripaya
    madad baat baare wapas vapas vapis jaldi lagana toota tuta poochna puchna samajh saal hafte mahine mahina
    dino hazar badlo badal badalna badalni jodo roko hatao dikhao samjhao mangwana bhejna bhejdo kardijiye daam
    keemat hisaab rasid raseed
""")
"""Only romanised Hindi writes these so; a few are rare words elsewhere, so that one alone is not enough."""


def _without_first_vowel(words: frozenset[str]) -> frozenset[str]:
    """Return how people in a hurry spell words: the short `a` behind the first consonant left out (`krna`, `jldi`)."""
    hurried = {word[0] + word[2:] for word in words if _HURRIED.fullmatch(word)}
    return frozenset(hurried - {"khan"})  # a name


_HURRIED = re.compile("[^aeiou]a[^aeiou][a-z]{2,}")
_HURRIED_WORDS = _without_first_vowel(_SURE_WORDS)

_SHARED_WORDS = _listed("""
    mai mein ho h par pe se ka ki ke ko na ne le de jo ab din kam sab un hu hun lo ya kr k tak ja ek kal bas tum
    kis koi bola pata
""")
"""Small words of Hindi that other languages have too, but English has not."""

_ENGLISH_TOO = _listed("""
    main me to do the is us in he hi so man bat bad use log mat band char mere fir hue mile tab
""")
"""Small words of Hindi that are English words."""

_ENDINGS = re.compile(r"(?!mega|omega|vega|bodega)\w{2,}(?:unga|oonga|ungi|oongi|ega|egi|iyega|iye)")
"""Verbs of the future and polite requests: `bhejunga`, `pahunchega`, `bataiye`."""

_ENGLISH_WORDS = _listed("""
    a an and or but if of for from with without at on by about this that these those my your our his her it its
    i you we they she am are was were be been have has had does did not no yes can could will would should
    please pls plz u thanks thank sorry hello hey dear sir madam what when where which who why how account activate
    active address agent amount app application apply available balance bank bill block blocked book booking box broken
    buy call cancel cancelled card care cart cash change charge charged charger check class clear click close
    code collect color colour come complaint confirm confirmed connect connection contact cost coupon crash
    credit customer cut damaged data date day days debit default delay delayed deliver delivered delivery
    details different discount document done down download driver due email error exchange executive expire
    expired extra fail failed fast fees file flight food form free fridge gift give good help hotel hour hours
    id insurance internet invoice issue item items kit late limit link list loan lock login logout market
    medicine message minute mobile month name network new number offer office old online open option order
    orders original out pack package paid parcel password pay payment pending percent phone photo pickup pin
    plan price problem process product profile quality query rate reason receive received recharge refund
    register reject rejected remove renew replace replacement report request reset return room salary sale save
    school screen seat sell send seller server service settings shipping shoes shop show sign size slip slot
    slow solve speed start status stock stop store submit subscription sunday monday tuesday wednesday thursday
    friday saturday support switch system tax ticket time today total track tracking train transaction transfer
    try tv update upgrade upload user verify version video view visit wait warranty website week wifi wrong year
""")
"""Frequent English words of everyday support, for telling Hindi with English in it from Hindi alone."""

_LEAST_SHARE_OF_ONE = 0.3
_LEAST_SHARE_OF_MANY = 0.2
_LEAST_SHARE_OF_ENGLISH = 0.6


class WordCounts(NamedTuple):
    """What the words of a text in Latin letters are."""

    words: int
    sure: int
    """Only Hindi writes them so."""
    shared: int
    """Hindi or another language, but not English."""
    english_too: int
    """Hindi or English."""
    english: int
    """English, of everyday support; Hindi borrows them."""

    @property
    def unknown(self) -> int:
        """Words of no list: names, or words of any language."""
        return self.words - self.sure - self.shared - self.english_too - self.english

    @property
    def is_hinglish(self) -> bool:
        """Whether the text is in romanised Hindi, with or without English words.

        One sure word may be a name or a loan ("please call bhai"), so it needs more company than two do. Without any,
        Hindi's small words must hold English ones together, with nothing else there ("refund ka status").
        """
        if not self.sure:
            return self.shared > 0 and self.english > 0 and self.unknown == 0 and self.words > 2
        least = _LEAST_SHARE_OF_ONE if self.sure == 1 else _LEAST_SHARE_OF_MANY
        return self.words > 1 and self.sure + self.shared + self.english_too >= least * self.words

    @property
    def is_english(self) -> bool:
        """Whether nearly all words are frequent English ones and none is Hindi: for texts too short for statistics."""
        known = self.english + self.english_too
        return not self.sure and not self.shared and self.english > 0 and known >= _LEAST_SHARE_OF_ENGLISH * self.words


def count_words(words: Sequence[str]) -> WordCounts:
    """Count the words of a text, given in lower case and Latin letters.

    >>> count_words("mera order kab aayega".split())
    WordCounts(words=4, sure=3, shared=0, english_too=0, english=1)
    >>> count_words("the main door is open".split()).is_hinglish
    False
    """
    kinds = Counter(map(_kind, words))
    return WordCounts(len(words), kinds["sure"], kinds["shared"], kinds["english_too"], kinds["english"])


def _kind(word: str) -> str:
    if word in _SHARED_WORDS:
        return "shared"
    if word in _ENGLISH_TOO:
        return "english_too"
    if word in _SURE_WORDS or word in _HURRIED_WORDS or _ENDINGS.fullmatch(word):
        return "sure"
    return "english" if word in _ENGLISH_WORDS else "unknown"
