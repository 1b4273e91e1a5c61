"""Sample pictures that travel with the package."""
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]
PLACES = (PACKAGE / '.mim' / 'demo' / 'samples', PACKAGE.parent / 'demo' / 'samples')


def sample_pictures() -> list[Path]:
    """The sample pictures of an installed package or of a checkout, by name; none without them."""
    for place in PLACES:
        if place.is_dir():
            return sorted(place.glob('*.jpg'))
    return []
