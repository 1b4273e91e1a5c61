default_scope = 'mmseg'
custom_imports = dict(imports=['mmseg_instbox'], allow_failed_imports=False)
env_cfg = dict(
    cudnn_benchmark=True,
    # OpenCV's own threads deadlock in forked data loader workers
    mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0),
    dist_cfg=dict(backend='nccl'),
)
vis_backends = [dict(type='LocalVisBackend')]
visualizer = dict(type='InstBoxLocalVisualizer', vis_backends=vis_backends, name='visualizer')
log_processor = dict(by_epoch=False)
log_level = 'INFO'
load_from = None
resume = False
