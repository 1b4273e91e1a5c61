"""``instbox models``."""
import click


@click.command()
@click.argument('words', nargs=-1)
@click.option('--weights', is_flag=True, help='Only models whose weights are to be had.')
def models(words: tuple[str, ...], weights: bool) -> None:
    """List the models that go by a name.

    WORDS leave only names that hold all of them. A name can stand for a config in all commands.

    \b
    Examples:
      instbox models
      instbox models mobilenet voc-mini
      instbox train instbox_fcrn-r18-d8_1xb8-2k_shapes-160x160
    """
    from ..engine.model_index import find_model, list_models
    names = [name for name in list_models()
             if all(word in name for word in words) and (find_model(name)[1] or not weights)]
    if not names:
        raise click.ClickException('No model fits; `instbox models` lists all of them.')
    for name in names:
        click.echo(name)
