"""``instbox check`` and ``instbox convert``: what concerns annotations.

Nothing that they import, unless drawings are asked for, needs torch or MMSegmentation, so they
start fast.
"""
from collections import Counter
from pathlib import Path

import click

from ..errors import InvalidInputError
from .options import formats


@click.command(short_help='Check annotated images before a training.')
@click.argument('data', type=click.Path())
@click.option('--images', metavar='DIR', help='Directory of the images, if it is not in DATA.')
@click.option('--pictures', metavar='DIR', help='Directory for drawings of samples and problems.')
@click.pass_context
def check(ctx: click.Context, data: str, images: str | None, pictures: str | None) -> None:
    """Count images and objects and list all problems of annotations.

    DATA is a directory or an annotation file: COCO, LabelMe, YOLO, VIA, the layout of VOC, or
    masks of instance ids; the format is recognised. What a problem concerns is repaired or left
    out in a training. Exit code 1 means that no training is possible.

    \b
    Examples:
      instbox check my_data
      instbox check annotations.json --images photos --pictures drawings
    """
    from ..apis.data_check import describe_split, draw_images, find_hidden
    from ..apis.own_data import choose_parts
    from ..datasets import read_annotations
    found = read_annotations(data, images)
    for name, split in found.items():
        hidden, pairs = find_hidden(split)
        split.problems += hidden
        for line in [*describe_split(name, split), *(f'  {pair}' for pair in pairs)]:
            click.echo(line)
        for kind, count in Counter(problem.kind for problem in split.problems).items():
            click.echo(f'  {kind} ({count}):')
            for problem in split.problems:
                if problem.kind == kind:
                    click.echo(f'    {problem}')
        if pictures:
            click.echo(f'  {draw_images(split, Path(pictures), name)} drawings in {pictures}')
    number = sum(len(split.problems) for split in found.values())
    try:
        notes = choose_parts(found, data).notes
    except InvalidInputError as error:
        click.echo(f'{number:,} problems. A training is not possible: {error}')
        ctx.exit(1)
    for note in notes:
        click.echo(f'  {note}')
    click.echo(f'{number:,} problems. A training is possible.')


@click.command()
@click.argument('data', type=click.Path())
@formats('--format', '--to', required=True)
@click.option('--out', metavar='DIR', required=True, help='Directory for the results.')
@click.option('--images', metavar='DIR', help='Directory of the images, if it is not in DATA.')
@click.option('--score-thr', type=click.FloatRange(0, 1), default=0.,
              help='Instances of a lower score are left out; a missing score means 1.')
def convert(data: str, formats: tuple[str, ...], out: str, images: str | None,
            score_thr: float) -> None:
    """Convert annotations or results to other formats.

    DATA is a directory or an annotation file, recognised by looking at it: COCO's JSON (also what
    `instbox predict` wrote), LabelMe, YOLO, VIA, the layout of VOC, or masks of instance ids.
    Annotations that cannot be used are left out; `instbox check DATA` lists them. Each format gets
    a directory of its name in DIR, with one for each split if DATA has several.

    \b
    Examples:
      instbox convert predictions/coco/annotations.json --format yolo --out converted
      instbox convert my_labelme_folder --format coco --out converted
    """
    from ..apis.formats import FORMATS
    from ..apis.formats.coco_reader import samples_from_tables
    from ..datasets import read_annotations
    found = read_annotations(data, images, need_images=False)
    for split, part in found.items():
        samples, meta = samples_from_tables(part.coco, str(data))
        below = '' if len(found) == 1 else split
        writers = [FORMATS[name](Path(out) / name / below, meta, score_thr) for name in formats]
        for name, sample in samples:
            file = part.root / sample.img_path
            image = str(file) if images or file.is_file() else sample.img_path
            for writer in writers:
                writer.add(sample, name, image)
        for writer in writers:
            click.echo(f'Written: {writer.close()}')
        faults = [each for each in part.problems
                  if each.kind not in ('no objects', 'empty category') and not each.fatal]
        if faults:
            click.echo(f'{len(faults)} problems of {split}; see: instbox check {data}', err=True)
