"""HTT: hand poses and the action of a video, from windows of frames (Wen et al., CVPR 2023)."""
