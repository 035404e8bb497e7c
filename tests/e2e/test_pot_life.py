"""The life of a pot, by the pot command."""


def test_the_short_way(bare):
    """init, vnet-start, ping the bridge, de-init, on a machine without anything else."""
    bare.pot("init")
    bare.pot("vnet-start")
    bare.run("ping", "-c1", "-W2", "10.192.0.1")
    bare.pot("init")
    bare.pot("vnet-init")
    bare.pot("de-init")


def test_a_pot_comes_and_goes(networked):
    m = networked
    m.make_pot("web", "-N", "public-bridge", "-i", "auto")
    assert m.pot("ls", "-q") == "web\n"
    assert m.pot("ps", "-q") == ""
    m.start("web")
    assert m.running() == ["web"]
    table = m.pot("ps")
    assert "10.192.0.3" in table and str(m.dir / "pot/jails/web/m") in table
    assert "10.192.0.3" in m.pot("exec", "-p", "web", "ip", "addr")
    m.run("ping", "-c1", "-W2", "10.192.0.3")
    assert m.pot("info", "-qrp", "web") == ""
    m.pot("stop", "web")
    assert m.running() == []
    m.pot_fails("info", "-qrp", "web")
    assert m.residue(bridge=True) == []
    m.pot("destroy", "-p", "web")
    assert m.pot("ls", "-q") == ""
