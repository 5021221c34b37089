from tests.e2e.desk import *
def test_healthy(desk):
    import cProfile, pstats, sys
    p=cProfile.Profile()
    desk.start()
    p.enable()
    for a in desk.ticks(2*HOUR, every=2*MINUTE): pass
    p.disable()
    with desk.streams.disabled():
        pstats.Stats(p,stream=sys.stdout).sort_stats('cumtime').print_stats(60)
