"""``instbox models``."""
import click


@click.command()
@click.argument('words', nargs=-1)
@click.option('--weights', is_flag=True, help='Only models with published weights.')
def models(words: tuple[str, ...], weights: bool) -> None:
    """List the models of the model index.

    Only names that contain all WORDS are listed. All commands take a name in place of a config.

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
