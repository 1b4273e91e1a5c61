"""Registries of the scope ``mmseg_instbox``, children of MMSegmentation's.

The package registers its classes with MMSegmentation itself. MMEngine however marks a config that
is inherited with ``mmseg_instbox::`` with that scope, and looks its classes up here first, then in
the parents, whose modules it does not import. So the registries are empty, but must exist and name
their parents' modules.
"""
import mmseg.registry
from mmengine.registry import Registry

SCOPED = {
    name: Registry(
        getattr(mmseg.registry, name).name,
        parent=getattr(mmseg.registry, name),
        scope='mmseg_instbox',
        locations=getattr(mmseg.registry, name)._locations or ['mmseg_instbox'])
    for name in mmseg.registry.__all__
}
