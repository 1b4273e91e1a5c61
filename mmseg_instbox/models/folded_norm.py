import torch


class FoldedNormMixin:
    """Lets a module whose convolutions have no batch normalisation load weights that have it.

    Batch normalisation with frozen statistics is a linear map, so it folds into the convolution
    before it: the same outputs from one layer instead of two, with no statistics to keep frozen in
    training. Expects ``mmcv``'s names, ``conv`` and ``bn`` side by side.
    """

    def _load_from_state_dict(self, state_dict: dict, prefix: str, *args) -> None:
        """The parent's, with the batch normalisation that this module lacks folded."""
        own = self.state_dict()
        for key in [key for key in state_dict if key.startswith(prefix)]:
            block = key.removesuffix('.bn.running_var')
            if block != key and f'{block[len(prefix):]}.bn.running_var' not in own:
                fold_batch_norm(state_dict, block)
        super()._load_from_state_dict(state_dict, prefix, *args)


def fold_batch_norm(state_dict: dict[str, torch.Tensor], block: str, eps: float = 1e-5) -> None:
    """Folds ``block.bn`` into ``block.conv`` of a state dict, in place.

    Args:
        state_dict: Weights, with a convolution ``block.conv`` without bias.
        block: Name of the module that holds both.
        eps: Of the batch normalisation.
    """
    names = ('weight', 'bias', 'running_mean', 'running_var')
    weight, bias, mean, var = (state_dict.pop(f'{block}.bn.{name}') for name in names)
    state_dict.pop(f'{block}.bn.num_batches_tracked', None)
    scale = weight / (var + eps).sqrt()
    conv = f'{block}.conv.weight'
    state_dict[conv] = state_dict[conv] * scale.view(-1, 1, 1, 1)
    state_dict[f'{block}.conv.bias'] = bias - mean * scale
