"""``instbox check``."""
from collections import Counter
from pathlib import Path

import click


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
    only = next(iter(found.values())) if len(found) == 1 else None
    trained = found.get('train') or found.get('all') or only
    possible = trained and not trained.fatal and trained.coco['annotations']
    number = sum(len(split.problems) for split in found.values())
    click.echo(f'{number:,} problems. '
               + ('A training is possible.' if possible else 'A training is not possible.'))
    ctx.exit(0 if possible else 1)
