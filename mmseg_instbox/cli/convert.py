"""``instbox convert``; nothing that it imports needs torch or MMSegmentation, so it starts fast."""
from pathlib import Path

import click

from .options import formats


@click.command()
@click.argument('file', type=click.Path(dir_okay=False))
@formats('--format', '--to', required=True)
@click.option('--out', metavar='DIR', required=True, help='Directory for the results.')
@click.option('--images', metavar='DIR', help='Directory that the names of the images in FILE are '
              'relative to, for formats that hold the path of an image.')
@click.option('--score-thr', type=click.FloatRange(0, 1), default=0.,
              help='Instances of a lower score are left out; a missing score means 1.')
def convert(file: str, formats: tuple[str, ...], out: str, images: str | None,
            score_thr: float) -> None:
    """Convert results in COCO's format to other formats.

    FILE is COCO's JSON: what `instbox predict` wrote, or ground truth. Masks are run lengths or
    polygons. Each format gets a directory of its name in DIR.

    \b
    Examples:
      instbox convert predictions/coco/annotations.json --format yolo --out converted
      instbox convert instances_val.json --format labelme --images val2017 --out converted
    """
    from ..apis.formats import FORMATS, samples_from_coco
    samples, meta = samples_from_coco(file)
    writers = [FORMATS[name](Path(out) / name, meta, score_thr) for name in formats]
    for name, sample in samples:
        image = sample.img_path if images is None else str(Path(images) / sample.img_path)
        for writer in writers:
            writer.add(sample, name, image)
    for writer in writers:
        click.echo(f'Written: {writer.close()}')
